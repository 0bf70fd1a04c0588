package emulator_test

import (
	"math"
	"math/big"
	"testing"
)

// exactly rounds the exact number x to a float32, or to a float64, and gives its
// bits: sign is that of a zero.
func exactly(x *big.Float, mode string, width int, sign bool) uint64 {
	var r float64
	var below big.Accuracy
	if width == 4 {
		f, acc := x.Float32()
		r, below = float64(f), acc
	} else {
		r, below = x.Float64()
	}
	next := func(to float64) {
		if width == 4 {
			r = float64(math.Nextafter32(float32(r), float32(to)))
		} else {
			r = math.Nextafter(r, to)
		}
	}
	down, up := math.Inf(-1), math.Inf(1)
	switch {
	case below == big.Above && (mode == "rm" || mode == "rz" && x.Sign() > 0):
		next(down)
	case below == big.Below && (mode == "rp" || mode == "rz" && x.Sign() < 0):
		next(up)
	}
	if r == 0 && x.Sign() == 0 && sign {
		r = math.Copysign(0, -1)
	}
	if r == 0 && x.Sign() < 0 {
		r = math.Copysign(0, -1)
	}
	if width == 4 {
		return bits32of(float32(r))
	}
	return bits64of(r)
}

func finite(xs ...float64) bool {
	for _, x := range xs {
		if x-x != 0 {
			return false
		}
	}
	return true
}

func exact(x float64) *big.Float { return new(big.Float).SetPrec(4000).SetFloat64(x) }

// fmaOf is a*b+c by its definition.
func fmaOf(mode string, width int) func(a, b, c uint64) uint64 {
	of, to := f64of, bits64of
	if width == 4 {
		of = func(x uint64) float64 { return float64(f32of(x)) }
		to = func(x float64) uint64 { return bits32of(float32(x)) }
	}
	return func(a, b, c uint64) uint64 {
		x, y, z := of(a), of(b), of(c)
		if !finite(x, y, z) {
			// Big products of finite numbers must not hide what z is.
			if finite(x, y) {
				return to(z)
			}
			return to(x*y + z)
		}
		p := exact(x)
		p.Mul(p, exact(y))
		negative := math.Signbit(x) != math.Signbit(y)
		sign := negative && math.Signbit(z)
		if p.Add(p, exact(z)).Sign() == 0 && mode == "rm" && (negative || math.Signbit(z) || x*y != 0) && (negative != math.Signbit(z)) {
			sign = true
		}
		return exactly(p, mode, width, sign)
	}
}

func sumOf(mode string, width int) func(a, b, c uint64) uint64 {
	f := fmaOf(mode, width)
	one := uint64(0x3f800000)
	if width == 8 {
		one = math.Float64bits(1)
	}
	return func(a, b, _ uint64) uint64 { return f(a, one, b) }
}

func productOf(mode string, width int) func(a, b, c uint64) uint64 {
	of, to := f64of, bits64of
	if width == 4 {
		of = func(x uint64) float64 { return float64(f32of(x)) }
		to = func(x float64) uint64 { return bits32of(float32(x)) }
	}
	return func(a, b, _ uint64) uint64 {
		x, y := of(a), of(b)
		if !finite(x, y) {
			return to(x * y)
		}
		p := exact(x)
		return exactly(p.Mul(p, exact(y)), mode, width, math.Signbit(x) != math.Signbit(y))
	}
}

func quotientOf(mode string, width int) func(a, b, c uint64) uint64 {
	of, to := f64of, bits64of
	if width == 4 {
		of = func(x uint64) float64 { return float64(f32of(x)) }
		to = func(x float64) uint64 { return bits32of(float32(x)) }
	}
	return func(a, b, _ uint64) uint64 {
		x, y := of(a), of(b)
		if !finite(x, y) || y == 0 {
			return to(x / y)
		}
		p := exact(x)
		return exactly(p.Quo(p, exact(y)), mode, width, math.Signbit(x) != math.Signbit(y))
	}
}

// TestFloats compares arithmetic of floats with exact arithmetic, rounded once.
func TestFloats(t *testing.T) {
	var cases []instructionCase
	add := func(name, body string, types []string, want func(a, b, c uint64) uint64) {
		cases = append(cases, instructionCase{name, body, types, want})
	}
	for _, mode := range []string{"rn", "rz", "rm", "rp"} {
		add("fma."+mode+".f32", "fma."+mode+".f32 %d, %a, %b, %c;", d3, fmaOf(mode, 4))
		add("add."+mode+".f32", "add."+mode+".f32 %d, %a, %b;", d2, sumOf(mode, 4))
		add("mul."+mode+".f32", "mul."+mode+".f32 %d, %a, %b;", d2, productOf(mode, 4))
		add("div."+mode+".f32", "div."+mode+".f32 %d, %a, %b;", d2, quotientOf(mode, 4))
		add("add."+mode+".f64", "add."+mode+".f64 %d, %a, %b;", q2, sumOf(mode, 8))
		add("mul."+mode+".f64", "mul."+mode+".f64 %d, %a, %b;", q2, productOf(mode, 8))
		add("div."+mode+".f64", "div."+mode+".f64 %d, %a, %b;", q2, quotientOf(mode, 8))
	}
	add("sub.f32", "sub.f32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return bits32of(f32of(a) - f32of(b)) })
	add("fma.f64", "fma.rn.f64 %d, %a, %b, %c;", q3, fmaOf("rn", 8))
	add("sqrt.f32", "sqrt.rn.f32 %d, %a;", d1, func(a, _, _ uint64) uint64 {
		return bits32of(float32(math.Sqrt(float64(f32of(a)))))
	})
	add("rcp.f32", "rcp.rn.f32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return bits32of(1 / f32of(a)) })
	add("div.full", "div.full.f32 %d, %a, %b;", d2, quotientOf("rn", 4))
	add("neg.abs", "abs.f32 %r2, %a; neg.f32 %d, %r2;", d1, func(a, _, _ uint64) uint64 { return a | 1<<31 })
	add("copysign", "copysign.f32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return a&(1<<31) | b&^(1<<31) })
	add("add.sat", "add.sat.f32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 {
		s := f32of(a) + f32of(b)
		if !(s > 0) {
			return 0
		}
		return bits32of(min(s, 1))
	})
	add("mul.ftz", "mul.ftz.f32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 {
		ftz := func(x float32) float32 {
			if math.Abs(float64(x)) < 0x1p-126 {
				return float32(math.Copysign(0, float64(x)))
			}
			return x
		}
		return bits32of(ftz(ftz(f32of(a)) * ftz(f32of(b))))
	})
	add("min.f32", "min.f32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return extremeOf(a, b, math.Min) })
	add("max.f32", "max.f32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return extremeOf(a, b, math.Max) })
	approximate := func(name string, f func(float64) float64) {
		add(name, name+".approx.f32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return bits32of(float32(f(float64(f32of(a))))) })
	}
	approximate("ex2", math.Exp2)
	approximate("lg2", math.Log2)
	approximate("sin", math.Sin)
	approximate("cos", math.Cos)
	approximate("tanh", math.Tanh)
	approximate("rsqrt", func(x float64) float64 { return 1 / math.Sqrt(x) })
	for name, f := range map[string]func(a, b float64) bool{
		"eq": func(a, b float64) bool { return a == b }, "ne": func(a, b float64) bool { return a != b && a == a && b == b },
		"lt": func(a, b float64) bool { return a < b }, "geu": func(a, b float64) bool { return a >= b || a != a || b != b },
		"neu": func(a, b float64) bool { return a != b }, "equ": func(a, b float64) bool { return a == b || a != a || b != b },
		"num": func(a, b float64) bool { return a == a && b == b }, "nan": func(a, b float64) bool { return a != a || b != b },
		"leu": func(a, b float64) bool { return a <= b || a != a || b != b }, "ltu": func(a, b float64) bool { return a < b || a != a || b != b },
	} {
		add("setp."+name+".f32", "setp."+name+".f32 %p1, %a, %b; selp.u32 %d, 1, 0, %p1;", d2, func(a, b, _ uint64) uint64 { return truth(f(float64(f32of(a)), float64(f32of(b)))) })
		add("setp."+name+".f64", "setp."+name+".f64 %p1, %a, %b; selp.u64 %d, 1, 0, %p1;", q2, func(a, b, _ uint64) uint64 { return truth(f(f64of(a), f64of(b))) })
	}
	run(t, cases)
}

// extremeOf is the least or the largest: the other operand where one is a NaN.
func extremeOf(a, b uint64, f func(a, b float64) float64) uint64 {
	x, y := float64(f32of(a)), float64(f32of(b))
	switch {
	case x != x && y != y:
		return 0x7fffffff
	case x != x:
		return b
	case y != y:
		return a
	}
	return bits32of(float32(f(x, y)))
}

// float16Of is a float16's value by its definition.
func float16Of(h uint64) float64 {
	sign, e, m := 1-2*float64(h>>15&1), int(h>>10&31), float64(h&1023)
	switch {
	case e == 31 && m != 0:
		return math.NaN()
	case e == 31:
		return sign * math.Inf(1)
	case e == 0:
		return math.Copysign(m*0x1p-24, sign)
	}
	return sign * (1 + m/1024) * math.Ldexp(1, e-15)
}

// nearest16 is the 16-bit float that is nearest to x, of which ties are even:
// found by comparing all.
func nearest16(x float64, value func(h uint64) float64, largest uint64) uint64 {
	if x != x {
		return 0x7fff
	}
	sign := uint64(0)
	if math.Signbit(x) {
		sign, x = 1<<15, -x
	}
	low, high := uint64(0), largest+1 // the first beyond: infinity
	for low+1 < high {
		if mid := (low + high) / 2; value(mid) <= x {
			low = mid
		} else {
			high = mid
		}
	}
	if low == largest {
		// Where infinity is: a unit above the largest.
		limit := value(largest) + (value(largest)-value(largest-1))/2
		if x >= limit {
			low++
		}
		return sign | low
	}
	below, above := x-value(low), value(low+1)-x
	if below > above || below == above && low&1 == 1 {
		low++
	}
	return sign | low
}

// TestConversions compares conversions with their definitions.
func TestConversions(t *testing.T) {
	half := func(x float64) uint64 { return nearest16(x, float16Of, 0x7bff) }
	brain := func(x float64) uint64 {
		return nearest16(x, func(h uint64) float64 { return float64(f32of(h << 16)) }, 0x7f7f)
	}
	integer := func(low, high float64, round func(float64) float64) func(a, _, _ uint64) uint64 {
		return func(a, _, _ uint64) uint64 {
			x := round(float64(f32of(a)))
			switch {
			case x != x:
				return 0
			case x <= low:
				return uint64(int64(low))
			case x >= high:
				return uint64(int64(high))
			}
			return uint64(int64(x))
		}
	}
	cases := []instructionCase{
		{"u64.u32", "cvt.u64.u32 %d, %a;", []string{"b64", "b32"}, func(a, _, _ uint64) uint64 { return a }},
		{"s64.s32", "cvt.s64.s32 %d, %a;", []string{"b64", "b32"}, func(a, _, _ uint64) uint64 { return uint64(s32(a)) }},
		{"u32.u64", "cvt.u32.u64 %d, %a;", []string{"b32", "b64"}, func(a, _, _ uint64) uint64 { return a }},
		{"s32.s8", "cvt.s32.s8 %d, %a;", d1, func(a, _, _ uint64) uint64 { return uint64(int8(a)) }},
		{"u8.u32", "cvt.u8.u32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return a & 255 }},
		{"u16.u32", "cvt.u16.u32 %d, %a;", []string{"b16", "b32"}, func(a, _, _ uint64) uint64 { return a }},
		{"sat.u8.s32", "cvt.sat.u8.s32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return uint64(min(max(s32(a), 0), 255)) }},
		{"sat.s16.s32", "cvt.sat.s16.s32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return uint64(min(max(s32(a), math.MinInt16), math.MaxInt16)) }},
		{"sat.s32.u64", "cvt.sat.s32.u64 %d, %a;", []string{"b32", "b64"}, func(a, _, _ uint64) uint64 { return min(a, math.MaxInt32) }},
		{"f32.s32", "cvt.rn.f32.s32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return bits32of(float32(int32(a))) }},
		{"f32.u64", "cvt.rn.f32.u64 %d, %a;", []string{"b32", "b64"}, func(a, _, _ uint64) uint64 {
			f, _ := new(big.Float).SetUint64(a).Float32()
			return bits32of(f)
		}},
		{"f32.s64", "cvt.rz.f32.s64 %d, %a;", []string{"b32", "b64"}, func(a, _, _ uint64) uint64 {
			return exactly(new(big.Float).SetInt64(int64(a)), "rz", 4, false)
		}},
		{"f64.u64", "cvt.rn.f64.u64 %d, %a;", q1, func(a, _, _ uint64) uint64 { return math.Float64bits(float64(a)) }},
		{"f64.s64", "cvt.rp.f64.s64 %d, %a;", q1, func(a, _, _ uint64) uint64 {
			return exactly(new(big.Float).SetInt64(int64(a)), "rp", 8, false)
		}},
		{"rzi.s32", "cvt.rzi.s32.f32 %d, %a;", d1, integer(math.MinInt32, math.MaxInt32, math.Trunc)},
		{"rni.s32", "cvt.rni.s32.f32 %d, %a;", d1, integer(math.MinInt32, math.MaxInt32, math.RoundToEven)},
		{"rmi.u32", "cvt.rmi.u32.f32 %d, %a;", d1, integer(0, math.MaxUint32, math.Floor)},
		{"rpi.s32", "cvt.rpi.s32.f32 %d, %a;", d1, integer(math.MinInt32, math.MaxInt32, math.Ceil)},
		{"rni.f32", "cvt.rni.f32.f32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return bits32of(float32(math.RoundToEven(float64(f32of(a))))) }},
		{"rzi.f64", "cvt.rzi.f64.f64 %d, %a;", q1, func(a, _, _ uint64) uint64 { return bits64of(math.Trunc(f64of(a))) }},
		{"f32.f64", "cvt.rn.f32.f64 %d, %a;", []string{"b32", "b64"}, func(a, _, _ uint64) uint64 { return bits32of(float32(f64of(a))) }},
		{"rz.f32.f64", "cvt.rz.f32.f64 %d, %a;", []string{"b32", "b64"}, func(a, _, _ uint64) uint64 {
			if x := f64of(a); finite(x) {
				return exactly(exact(x), "rz", 4, math.Signbit(x))
			}
			return bits32of(float32(f64of(a)))
		}},
		{"f64.f32", "cvt.f64.f32 %d, %a;", []string{"b64", "b32"}, func(a, _, _ uint64) uint64 { return bits64of(float64(f32of(a))) }},
		{"sat.f32", "cvt.sat.f32.f32 %d, %a;", d1, func(a, _, _ uint64) uint64 {
			if !(f32of(a) > 0) {
				return 0
			}
			return bits32of(min(f32of(a), 1))
		}},
		{"f16.f32", "cvt.rn.f16.f32 %d, %a;", []string{"b16", "b32"}, func(a, _, _ uint64) uint64 { return half(float64(f32of(a))) }},
		{"f32.f16", "cvt.f32.f16 %d, %a;", []string{"b32", "b16"}, func(a, _, _ uint64) uint64 { return bits32of(float32(float16Of(a))) }},
		{"bf16.f32", "cvt.rn.bf16.f32 %d, %a;", []string{"b16", "b32"}, func(a, _, _ uint64) uint64 { return brain(float64(f32of(a))) }},
		{"bf16x2.f32", "cvt.rn.bf16x2.f32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return brain(float64(f32of(a)))<<16 | brain(float64(f32of(b))) }},
		{"f16x2.f32", "cvt.rn.f16x2.f32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return half(float64(f32of(a)))<<16 | half(float64(f32of(b))) }},
		{"fma.f16", "fma.rn.f16 %d, %a, %b, %c;", []string{"b16", "b16", "b16", "b16"}, func(a, b, c uint64) uint64 {
			x, y, z := float16Of(a), float16Of(b), float16Of(c)
			return half(x*y + z) // 53 bits hold each sum of these exactly, or it is far from a tie
		}},
		{"add.bf16", "add.rn.bf16 %d, %a, %b;", []string{"b16", "b16", "b16"}, func(a, b, _ uint64) uint64 {
			return brain(float64(f32of(a<<16)) + float64(f32of(b<<16)))
		}},
		{"tf32", "cvt.rna.tf32.f32 %d, %a;", d1, func(a, _, _ uint64) uint64 {
			if x := f32of(a); x-x != 0 {
				return bits32of(x)
			}
			return (a + 0x1000) &^ 0x1fff
		}},
	}
	run(t, cases)
}
