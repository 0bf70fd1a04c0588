package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// roundedOnce is the bound of functions that are correctly rounded.
var roundedOnce = bound{ulps: 0.5}

// simple are the functions of a few instructions.
var simple = []activation{
	{
		name: "sqrt", function: "Sqrt", operator: "sqrt", doc: "the square root",
		special: "Sqrt of a negative number is NaN, Sqrt(-0) is -0.",
		exact:   "return math.Sqrt(x)", bound: roundedOnce, group: 4, apply: inPlace(func(t round, x reg.VecVirtual) { t.VSQRTPS(x, x) }),
	},
	{
		name: "rsqrt", function: "Rsqrt", operator: "rsqrt", doc: "1/sqrt(x)",
		special: "Rsqrt of a negative number is NaN, of 0 and -0 Inf and -Inf.",
		exact:   "return 1 / math.Sqrt(x)", bound: bound{ulps: 1.5}, group: 4, apply: func(t round, src reg.GPVirtual) vectors {
			x, one := t.loadAll(src), t.all(1)
			for _, v := range x {
				t.VSQRTPS(v, v)
			}
			for _, v := range x {
				t.VDIVPS(v, one, v)
			}
			return x
		},
	},
	{
		name: "reciprocal", function: "Reciprocal", operator: "reciprocal", doc: "1/x",
		special: "Reciprocal of 0 and -0 is Inf and -Inf.",
		exact:   "return 1 / x", bound: roundedOnce, group: 4, apply: withValue(1, func(t round, one, x reg.VecVirtual) { t.VDIVPS(x, one, x) }),
	},
	{
		name: "abs", function: "Abs", operator: "abs", doc: "|x|",
		special: "Abs(-0) is 0.",
		exact:   "return math.Abs(x)", group: 4, apply: withValue(math.Float32frombits(0x7fffffff), func(t round, m, x reg.VecVirtual) { t.VANDPS(m, x, x) }),
	},
	{
		name: "neg", function: "Neg", operator: "neg", doc: "-x",
		special: "Neg(0) is -0.",
		exact:   "return -x", group: 4, apply: withValue(math.Float32frombits(1<<31), func(t round, m, x reg.VecVirtual) { t.VXORPS(m, x, x) }),
	},
	rounder("floor", "Floor", "the greatest integer not above x", "math.Floor", 9),
	rounder("ceil", "Ceil", "the least integer not below x", "math.Ceil", 10),
	rounder("round", "Round", "the nearest integer, of two the even one,", "math.RoundToEven", 8),
	{
		name: "sigmoid", function: "Sigmoid", operator: "sigmoid", doc: "1/(1+exp(-x))",
		special: "Sigmoid(NaN) is NaN, of infinities it is 1 and 0.",
		exact:   "return 1 / (1 + math.Exp(-x))", bound: bound{3, -87, 1e-36}, group: 4, apply: sigmoid,
	},
}

// inPlace applies f to each vector.
func inPlace(f func(t round, x reg.VecVirtual)) func(t round, src reg.GPVirtual) vectors {
	return func(t round, src reg.GPVirtual) vectors {
		x := t.loadAll(src)
		for _, v := range x {
			f(t, v)
		}
		return x
	}
}

// withValue applies f to each vector, with a constant.
func withValue(value float32, f func(t round, c, x reg.VecVirtual)) func(t round, src reg.GPVirtual) vectors {
	return func(t round, src reg.GPVirtual) vectors {
		c := t.all(value)
		return inPlace(func(t round, x reg.VecVirtual) { f(t, c, x) })(t, src)
	}
}

// rounder rounds to integers; mode is as VROUNDPS encodes it.
func rounder(name, function, doc, exact string, mode uint8) activation {
	return activation{
		name: name, function: function, operator: name, doc: doc,
		special: "Zeros keep their sign.",
		exact:   "return " + exact + "(x)", group: 4, apply: inPlace(func(t round, x reg.VecVirtual) {
			if t.lanes == 16 {
				t.VRNDSCALEPS(U8(mode), x, x)
			} else {
				t.VROUNDPS(U8(mode), x, x)
			}
		}),
	}
}

func sigmoid(t round, src reg.GPVirtual) vectors {
	u := t.loadAll(src)
	t.multiply(u, -1)
	t.clamp(u, -87, 89)
	e := t.expBounded(u)
	t.add(e, 1)
	one := t.all(1)
	for i := range e {
		t.VDIVPS(e[i], one, e[i])
	}
	return e
}
