package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pair is the complete description of an exact elementwise kernel of two inputs
// of one type. The assembly computes whole vectors; the portable expression
// computes the rest, and everything where there is no assembly.
type pair struct {
	operator string
	in, out  string // Go types
	portable string // Go expression of x and y
	// emit computes a vector; for comparisons it is a mask of ones. Nil has no
	// assembly; narrow says that only AVX-512 has it.
	emit   func(s simd, x, y reg.VecVirtual) reg.VecVirtual
	narrow bool
	// compare is the predicate of a comparison in AVX-512.
	compare func(s simd, x, y reg.VecVirtual, k reg.OpmaskVirtual)
}

var elementBytes = map[string]int{"float32": 4, "int32": 4, "int64": 8, "byte": 1}

var suffixes = map[string]string{"float32": "F32", "int32": "I32", "int64": "I64", "byte": "Bool"}

// Name is that of the Go function and, with a suffix, of the assembly.
func (p pair) Name() string { return camel(p.operator) + suffixes[p.in] }

// Op is the name's constant.
func (p pair) Op() string { return "pair" + pascal(p.Name()) }

// Operator, In, Out, Portable, Comparison, AVX2 and AVX512 are for the
// templates.
func (p pair) Operator() string { return p.operator }
func (p pair) In() string       { return p.in }
func (p pair) Out() string      { return p.out }
func (p pair) Portable() string { return p.portable }
func (p pair) Comparison() bool { return p.in != p.out }
func (p pair) AVX2() bool       { return p.emit != nil && !p.narrow }
func (p pair) AVX512() bool     { return p.emit != nil || p.compare != nil }

// pairs are all of them. Addition and the like of float32 are in
// elementwise.go, for they have other forms as well.
var pairs = append(append(append(numberPairs("int32"), numberPairs("int64")...), floatPairs()...), logicPairs()...)

func floatPairs() []pair {
	f := func(operator, portable string, emit func(s simd, x, y reg.VecVirtual) reg.VecVirtual) pair {
		return pair{operator: operator, in: "float32", out: "float32", portable: portable, emit: emit}
	}
	return append([]pair{
		f("min", "min(x, y)", simd.least),
		f("max", "max(x, y)", simd.greatest),
	}, comparisons("float32", func(c comparison) pair {
		return pair{
			emit: func(s simd, x, y reg.VecVirtual) reg.VecVirtual {
				s.VCMPPS(U8(c.float), y, x, x)
				return x
			},
			compare: func(s simd, x, y reg.VecVirtual, k reg.OpmaskVirtual) { s.VCMPPS(U8(c.float), y, x, k) },
		}
	})...)
}

// least is the lesser of two numbers, NaN if one of them is, and -0 of 0 and -0:
// the instruction gives its second operand where one is NaN or both are zeros.
func (s simd) least(x, y reg.VecVirtual) reg.VecVirtual {
	r := s.vec()
	s.VMINPS(x, y, r)
	s.VMINPS(y, x, x)
	s.VORPS(r, x, x)
	return x
}

// greatest is [simd.least] of the negated numbers.
func (s simd) greatest(x, y reg.VecVirtual) reg.VecVirtual {
	sign := s.allBits(1 << 31)
	s.VXORPS(sign, x, x)
	s.VXORPS(sign, y, y)
	x = s.least(x, y)
	s.VXORPS(sign, x, x)
	return x
}

// comparison is an operator with its predicates for floats, false for NaN, and
// for integers.
type comparison struct {
	operator, portable string
	float, integer     uint8
}

func comparisons(in string, of func(c comparison) pair) (out []pair) {
	for _, c := range []comparison{
		{"equal", "x == y", 0, 0}, {"less", "x < y", 17, 1}, {"less_equal", "x <= y", 18, 2},
		{"greater", "x > y", 30, 6}, {"greater_equal", "x >= y", 29, 5},
	} {
		p := of(c)
		p.operator, p.in, p.out, p.portable = c.operator, in, "byte", c.portable
		out = append(out, p)
	}
	return out
}

// numberPairs are those of an integer type.
func numberPairs(t string) []pair {
	wide := t == "int64"
	pick := func(narrow, wide func(s simd) func(ops ...Op)) func(s simd, x, y reg.VecVirtual) reg.VecVirtual {
		return func(s simd, x, y reg.VecVirtual) reg.VecVirtual {
			f := narrow
			if t == "int64" {
				f = wide
			}
			f(s)(y, x, x)
			return x
		}
	}
	f := func(operator, portable string, only bool, emit func(s simd, x, y reg.VecVirtual) reg.VecVirtual) pair {
		return pair{operator: operator, in: t, out: t, portable: portable, emit: emit, narrow: only}
	}
	out := []pair{
		f("add", "x + y", false, pick(func(s simd) func(ops ...Op) { return s.VPADDD }, func(s simd) func(ops ...Op) { return s.VPADDQ })),
		f("sub", "x - y", false, pick(func(s simd) func(ops ...Op) { return s.VPSUBD }, func(s simd) func(ops ...Op) { return s.VPSUBQ })),
		f("mul", "x * y", wide, pick(func(s simd) func(ops ...Op) { return s.VPMULLD }, func(s simd) func(ops ...Op) { return s.VPMULLQ })),
		f("min", "min(x, y)", wide, pick(func(s simd) func(ops ...Op) { return s.VPMINSD }, func(s simd) func(ops ...Op) { return s.VPMINSQ })),
		f("max", "max(x, y)", wide, pick(func(s simd) func(ops ...Op) { return s.VPMAXSD }, func(s simd) func(ops ...Op) { return s.VPMAXSQ })),
	}
	return append(out, comparisons(t, func(c comparison) pair {
		p := pair{narrow: wide, compare: func(s simd, x, y reg.VecVirtual, k reg.OpmaskVirtual) {
			if wide {
				s.VPCMPQ(U8(c.integer), y, x, k)
			} else {
				s.VPCMPD(U8(c.integer), y, x, k)
			}
		}}
		if !wide {
			p.emit = func(s simd, x, y reg.VecVirtual) reg.VecVirtual { return s.comparedInts(c.operator, x, y) }
		}
		return p
	})...)
}

// comparedInts is a comparison in AVX2, which has only equal and greater.
func (s simd) comparedInts(operator string, x, y reg.VecVirtual) reg.VecVirtual {
	switch operator {
	case "equal":
		s.VPCMPEQD(y, x, x)
		return x
	case "greater", "less_equal":
		s.VPCMPGTD(y, x, x)
	case "less", "greater_equal":
		s.VPCMPGTD(x, y, x)
	}
	if operator == "less_equal" || operator == "greater_equal" {
		ones := s.vec()
		s.VPCMPEQD(ones, ones, ones)
		s.VPXOR(ones, x, x)
	}
	return x
}

// logicPairs work on bytes of which those that are not zero are true.
func logicPairs() []pair {
	f := func(operator, portable string, emit func(s simd, x, y reg.VecVirtual)) pair {
		return pair{operator: operator, in: "byte", out: "byte", portable: portable, emit: func(s simd, x, y reg.VecVirtual) reg.VecVirtual {
			one := s.allBits(0x01010101)
			s.VPMINUB(one, x, x)
			s.VPMINUB(one, y, y)
			emit(s, x, y)
			return x
		}}
	}
	return []pair{
		f("and", "min(x, 1) & min(y, 1)", func(s simd, x, y reg.VecVirtual) { s.VANDPS(y, x, x) }),
		f("or", "min(x, 1) | min(y, 1)", func(s simd, x, y reg.VecVirtual) { s.VORPS(y, x, x) }),
		f("xor", "min(x, 1) ^ min(y, 1)", func(s simd, x, y reg.VecVirtual) { s.VXORPS(y, x, x) }),
		f("equal", "1 ^ min(x, 1) ^ min(y, 1)", func(s simd, x, y reg.VecVirtual) {
			s.VXORPS(y, x, x)
			s.VXORPS(s.allBits(0x01010101), x, x)
		}),
	}
}

func pairKernels(g *gen) {
	for _, p := range pairs {
		g.bothWidths(func(s simd) {
			if s.lanes == 8 && !p.AVX2() || !p.AVX512() {
				return
			}
			name := s.name(p.Name())
			s.function(name, "func(dst, a, b *byte, n int)",
				fmt.Sprintf("%s works on n elements, a multiple of %d.", name, s.step(p)))
			if p.Comparison() {
				compareKernel(s, p)
			} else {
				pairKernel(s, p)
			}
		})
	}
}

// step is the number of elements that the assembly of p computes at least.
func (s simd) step(p pair) int {
	if p.Comparison() && s.lanes == 8 {
		return 32 // a vector of results
	}
	return s.bytes() / elementBytes[p.in]
}

func pairKernel(s simd, p pair) {
	dst, a, b := s.pointer("dst"), s.pointer("a"), s.pointer("b")
	s.wholeGroups(4, s.step(p), s.bytes(), func(t round) {
		x, y := t.loadAll(a), t.loadAll(b)
		for i := range x {
			x[i] = p.emit(s, x[i], y[i])
		}
		t.storeAll(x, dst)
	})
	s.done()
}

// wholeGroups is eachGroup of n elements that fill whole vectors.
func (s simd) wholeGroups(most, elements, bytes int, body func(t round)) {
	n, at := s.pointer("n"), s.GP64()
	s.XORQ(at, at)
	for _, size := range []int{most, 1} {
		name := fmt.Sprint(size)
		step := I32(size * elements)
		s.SUBQ(step, n)
		s.JL(LabelRef("rest" + name))
		s.Label("loop" + name)
		body(round{simd: s, at: at, size: size})
		s.ADDQ(I32(size*bytes), at)
		s.SUBQ(step, n)
		s.JGE(LabelRef("loop" + name))
		s.Label("rest" + name)
		s.ADDQ(step, n)
	}
}

// compareKernel writes a byte of 0 or 1 for each element.
func compareKernel(s simd, p pair) {
	dst, a, b, n := s.pointer("dst"), s.pointer("a"), s.pointer("b"), s.pointer("n")
	one := s.allBits(0x01010101)
	size := elementBytes[p.in]
	s.Label("loop")
	s.CMPQ(n, I32(s.step(p)))
	s.JL(LabelRef("end"))
	if s.lanes == 16 {
		x, y, k, r := s.vec(), s.vec(), s.K(), s.XMM()
		s.VMOVUPS(Mem{Base: a}, x)
		s.VMOVUPS(Mem{Base: b}, y)
		p.compare(s, x, y, k)
		s.VMOVDQU8_Z(one.AsX(), k, r)
		if size == 4 {
			s.VMOVUPS(r, Mem{Base: dst})
		} else {
			s.VMOVQ(r, Mem{Base: dst})
		}
	} else {
		r := each(4, func(i int) reg.VecVirtual {
			x, y := s.vec(), s.vec()
			s.VMOVUPS(Mem{Base: a, Disp: i * 32}, x)
			s.VMOVUPS(Mem{Base: b, Disp: i * 32}, y)
			return p.emit(s, x, y)
		})
		s.packBytes(r)
		s.VPAND(one, r[0], r[0])
		s.VMOVUPS(r[0], Mem{Base: dst})
	}
	s.ADDQ(I32(size*s.step(p)), a)
	s.ADDQ(I32(size*s.step(p)), b)
	s.ADDQ(I32(s.step(p)), dst)
	s.SUBQ(I32(s.step(p)), n)
	s.JMP(LabelRef("loop"))
	s.Label("end")
	s.done()
}

// packBytes makes the bytes of r[0] from the words of four vectors of AVX2, which
// are all ones or zeros.
func (s simd) packBytes(r []reg.VecVirtual) {
	s.VPACKSSDW(r[1], r[0], r[0])
	s.VPACKSSDW(r[3], r[2], r[2])
	s.VPACKSSWB(r[2], r[0], r[0])
	v := s.YMM()
	s.VMOVUPS(s.lanesOrder(), v)
	s.VPERMD(r[0], v, r[0])
}

// lanesOrder is the order of double words after packing within halves.
func (g *gen) lanesOrder() Mem {
	if g.order.Base == nil {
		g.order = g.StaticGlobal("lanesOrder")
		g.DataAttributes(attr.RODATA | attr.NOPTR)
		for i, v := range []U32{0, 4, 1, 5, 2, 6, 3, 7} {
			g.AddDatum(4*i, v)
		}
	}
	return g.order
}
