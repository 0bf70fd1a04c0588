package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// nearlyRounded is the bound of functions that compute in float64.
var nearlyRounded = bound{ulps: 0.51}

// elementary are the functions that compute in float64, and erf.
var elementary = []activation{
	{
		name: "log", function: "Log", operator: "log", doc: "the natural logarithm",
		special: "Log of 0 and -0 is -Inf, of a negative number NaN.",
		exact:   "return math.Log(x)", bound: nearlyRounded, group: 1, apply: widened(func(t round, x vectors) vectors {
			r := t.log64(x)
			t.logSpecial(x, r)
			return r
		}),
	},
	{
		name: "log1p", function: "Log1p", operator: "log1p", doc: "log(1+x)",
		special: "Log1p(-1) is -Inf, of less NaN; Log1p(-0) is -0.",
		exact:   "return math.Log1p(x)", bound: nearlyRounded, group: 1, apply: widened(log1p),
	},
	{
		name: "expm1", function: "Expm1", operator: "expm1", doc: "e^x - 1",
		special: "Expm1(-Inf) is -1, Expm1(-0) is -0.",
		exact:   "return math.Expm1(x)", bound: nearlyRounded, group: 1, apply: widened(expm1),
	},
	{
		name: "softplus", function: "Softplus", operator: "softplus", doc: "log(1+e^x)",
		special: "Softplus(Inf) is Inf, Softplus(-Inf) 0.",
		exact:   "return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))", bound: nearlyRounded, group: 1, apply: widened(softplus),
	},
	{
		name: "sinh", function: "Sinh", operator: "sinh", doc: "the hyperbolic sine",
		special: "Sinh(-0) is -0.",
		exact:   "return math.Sinh(x)", bound: nearlyRounded, group: 1, apply: widened(sinh),
	},
	{
		name: "cosh", function: "Cosh", operator: "cosh", doc: "the hyperbolic cosine",
		special: "Cosh of infinities is Inf.",
		exact:   "return math.Cosh(x)", bound: nearlyRounded, group: 1, apply: widened(cosh),
	},
	{
		name: "sin", function: "Sin", operator: "sin", doc: "the sine of an angle in radians",
		special: "Sin of infinities is NaN, Sin(-0) is -0.",
		exact:   "return math.Sin(x)", bound: nearlyRounded, group: 1, large: true, apply: circular(0),
	},
	{
		name: "cos", function: "Cos", operator: "cos", doc: "the cosine of an angle in radians",
		special: "Cos of infinities is NaN.",
		exact:   "return math.Cos(x)", bound: nearlyRounded, group: 1, large: true, apply: circular(1),
	},
	{
		name: "sign", function: "Sign", operator: "sign", doc: "1 or -1",
		special: "Zeros and NaN are themselves.",
		exact:   "if x > 0 {\nreturn 1\n}\nif x < 0 {\nreturn -1\n}\nreturn x", group: 4, apply: sign,
	},
	{
		name: "erf", function: "Erf", operator: "erf", doc: "the error function",
		special: "Erf of infinities is 1 and -1, Erf(-0) is -0.",
		exact:   "return math.Erf(x)", bound: bound{ulps: 1.5}, group: 2, apply: erf,
	},
	portableOnly("tan", "Tan", "the tangent of an angle in radians"),
	portableOnly("asin", "Asin", "the arc sine, in radians"),
	portableOnly("acos", "Acos", "the arc cosine, in radians"),
	portableOnly("atan", "Atan", "the arc tangent, in radians"),
	portableOnly("asinh", "Asinh", "the inverse hyperbolic sine"),
	portableOnly("acosh", "Acosh", "the inverse hyperbolic cosine"),
	portableOnly("atanh", "Atanh", "the inverse hyperbolic tangent"),
}

// portableOnly is a function without assembly.
func portableOnly(name, function, doc string) activation {
	return activation{name: name, function: function, operator: name, doc: doc,
		special: "It is that of package math, rounded.", exact: "return math." + function + "(x)", bound: roundedOnce}
}

// widened applies f to each vector as two of float64.
func widened(f func(t round, x vectors) vectors) func(t round, src reg.GPVirtual) vectors {
	return func(t round, src reg.GPVirtual) vectors {
		out := t.loadAll(src)
		for i, x := range out {
			out[i] = t.joined(f(t, t.halves(x)))
		}
		return out
	}
}

// log1p corrects log(1+x) by what the sum lost.
func log1p(t round, x vectors) vectors {
	u := t.vectors(len(x))
	for i, v := range x {
		t.VADDPD(t.value64(1), v, u[i])
	}
	r := t.log1pOf(x, u)
	t.logSpecial(u, r)
	t.signs64(x, r)
	return r
}

// log1pOf is log1p(x), where u is 1+x.
func (s simd) log1pOf(x, u vectors) vectors {
	r, lost := s.log64(u), s.vec()
	for i := range x {
		s.VSUBPD(s.value64(1), u[i], lost)
		s.VSUBPD(lost, x[i], lost)
		s.VDIVPD(u[i], lost, lost)
		s.VADDPD(lost, r[i], r[i])
	}
	return r
}

// signs64 sets the signs of x in r.
func (s simd) signs64(x, r vectors) {
	sign := s.vec()
	for i := range x {
		s.VANDPD(s.bits64(1<<63), x[i], sign)
		s.VORPD(sign, r[i], r[i])
	}
}

func expm1(t round, x vectors) vectors {
	t.clamp64(x, -200, 200)
	signs := t.vectors(len(x))
	for i := range x {
		t.VMOVAPD(x[i], signs[i])
	}
	r := t.expm1Of(x)
	t.signs64(signs, r)
	return r
}

// expm1Of is e^x - 1. It overwrites x.
func (s simd) expm1Of(x vectors) vectors {
	scale, q := s.expm1Parts(x)
	less := s.vec()
	for i := range q {
		s.VSUBPD(s.value64(1), scale[i], less)
		s.VFMADD213PD(less, scale[i], q[i])
	}
	return q
}

func softplus(t round, x vectors) vectors {
	e, zero := t.vectors(len(x)), t.zero()
	for i, v := range x {
		t.VORPD(t.bits64(1<<63), v, e[i]) // -|x|
		t.VMAXPD(v, zero, v)              // NaN stays
	}
	t.clamp64(e, -200, 0)
	e = t.exp64(e)
	u := t.vectors(len(x))
	for i, v := range e {
		t.VADDPD(t.value64(1), v, u[i])
	}
	r := t.log1pOf(e, u)
	for i := range r {
		t.VADDPD(x[i], r[i], r[i])
	}
	return r
}

// sinh is (m + m/(m+1))/2 with m = e^|x| - 1.
func sinh(t round, x vectors) vectors {
	m, one := t.magnitudes(x), t.vec()
	m = t.expm1Of(m)
	for i := range m {
		t.VADDPD(t.value64(1), m[i], one)
		t.VDIVPD(one, m[i], one)
		t.VADDPD(one, m[i], m[i])
		t.VMULPD(t.value64(0.5), m[i], m[i])
	}
	t.signs64(x, m)
	return m
}

func cosh(t round, x vectors) vectors {
	e, inverse := t.exp64(t.magnitudes(x)), t.vec()
	for i := range e {
		t.VMOVUPD(t.value64(1), inverse)
		t.VDIVPD(e[i], inverse, inverse)
		t.VADDPD(inverse, e[i], e[i])
		t.VMULPD(t.value64(0.5), e[i], e[i])
	}
	return e
}

// magnitudes are |x|, at most 200.
func (s simd) magnitudes(x vectors) vectors {
	m := s.vectors(len(x))
	for i := range x {
		s.VANDPD(s.bits64(1<<63-1), x[i], m[i])
	}
	s.clamp64(m, 0, 200)
	return m
}

// circular is sin(x + quarter*pi/2): x less n quarters of a circle in two steps,
// and the series of sine and cosine. What is left of |x| <= 2^30 is exact to
// 2^-70; larger numbers are left as they are.
func circular(quarter uint64) func(t round, src reg.GPVirtual) vectors {
	return func(t round, src reg.GPVirtual) vectors {
		x := t.loadAll(src)
		for i, v := range x {
			r := t.joined(t.quarters(t.halves(v), quarter))
			t.keepLarge(v, r)
			x[i] = r
		}
		return x
	}
}

func (s simd) quarters(x vectors, quarter uint64) vectors {
	const rounder = 1.5 * (1 << 52)
	const halfPi = math.Pi / 2 // of which the first part is the nearest float64
	n := each(len(x), func(int) reg.VecVirtual { return s.load64(s.value64(rounder)) })
	whole, square := s.vectors(len(x)), s.vectors(len(x))
	for i := range x {
		s.VFMADD231PD(s.value64(2/math.Pi), x[i], n[i])
		s.VSUBPD(s.value64(rounder), n[i], whole[i])
		s.VFNMADD231PD(s.value64(halfPi), whole[i], x[i])
		s.VFNMADD231PD(s.value64(6.123233995736766e-17), whole[i], x[i])
		s.VMULPD(x[i], x[i], square[i])
	}
	sin := s.polynomial64(square, 1./6227020800, -1./39916800, 1./362880, -1./5040, 1./120, -1./6, 1)
	for i := range x {
		s.VMULPD(x[i], sin[i], sin[i])
	}
	cos := s.polynomial64(square, 1./479001600, -1./3628800, 1./40320, -1./720, 1./24, -0.5, 1)
	for i := range x {
		odd, sign := whole[i], square[i]
		if quarter > 0 {
			s.VPADDQ(s.bits64(quarter), n[i], n[i])
		}
		s.VPSLLQ(U8(63), n[i], odd)
		if s.lanes == 16 {
			k := s.K()
			s.VPMOVQ2M(odd, k)
			s.VMOVAPD(cos[i], k, sin[i])
		} else {
			s.VBLENDVPD(odd, cos[i], sin[i], sin[i])
		}
		s.VPSRLQ(U8(1), n[i], sign)
		s.VPSLLQ(U8(63), sign, sign)
		s.VXORPD(sign, sin[i], sin[i])
	}
	return sin
}

// keepLarge leaves finite numbers beyond 2^30 in r, and says that there are some.
func (t round) keepLarge(x, r reg.VecVirtual) {
	size := t.vec()
	t.VANDPS(t.constantBits(0x7fffffff), x, size)
	low, high := t.constant(1<<30), t.constant(float32(math.Inf(1)))
	if t.lanes == 16 {
		k, finite := t.K(), t.K()
		t.VCMPPS(U8(isGreater), low, size, k)
		t.VCMPPS(U8(1), high, size, finite)
		t.KANDW(finite, k, k)
		t.VMOVAPS(x, k, r)
		bits := t.GP32()
		t.KMOVW(k, bits)
		t.ORL(bits, t.found)
		return
	}
	m, finite, bits := t.vec(), t.vec(), t.GP32()
	t.VCMPPS(U8(isGreater), low, size, m)
	t.VCMPPS(U8(1), high, size, finite)
	t.VANDPS(finite, m, m)
	t.VBLENDVPS(m, x, r, r)
	t.VMOVMSKPS(m, bits)
	t.ORL(bits, t.found)
}

func sign(t round, src reg.GPVirtual) vectors {
	x := t.loadAll(src)
	one, signs, zero := t.all(1), t.allBits(1<<31), t.zero()
	for _, v := range x {
		unit := t.vec()
		t.VANDPS(signs, v, unit)
		t.VORPS(one, unit, unit)
		const notEqual = 12 // and not NaN
		if t.lanes == 16 {
			k := t.K()
			t.VCMPPS(U8(notEqual), zero, v, k)
			t.VMOVAPS(unit, k, v)
		} else {
			m := t.vec()
			t.VCMPPS(U8(notEqual), zero, v, m)
			t.VBLENDVPS(m, unit, v, v)
		}
	}
	return x
}

// erf has two polynomials, both fitted for the least error in units of the last
// place: x + x*P(x^2) where |x| < 0.93, and beyond 1 - e^Q(|x|).
func erf(t round, src reg.GPVirtual) vectors {
	a := t.loadAll(src)
	t.and(a, 0x7fffffff)
	t.clamp(a, -math.MaxFloat32, 10)
	square := t.vectors(t.size)
	for i := range a {
		t.VMULPS(a[i], a[i], square[i])
	}
	r := t.polynomial(a, -1.72853470e-5, 3.83197126e-4)
	u := t.polynomial(a, -3.88396438e-3, 2.42546219e-2)
	for i := range a {
		t.VFMADD213PS(u[i], square[i], r[i])
	}
	for _, c := range []float32{-1.06777877e-1, -6.34846687e-1, -1.28717512e-1} {
		v := t.all(c)
		for i := range a {
			t.VFMADD213PS(v, a[i], r[i])
		}
	}
	for i := range a {
		t.VFMSUB213PS(a[i], a[i], r[i])
	}
	t.clamp(r, -87, 1)
	large := t.expBounded(r)
	one := t.all(1)
	for i := range large {
		t.VSUBPS(large[i], one, large[i])
	}
	x := t.loadAll(src)
	for i := range x {
		t.VMULPS(x[i], x[i], square[i])
	}
	small := t.polynomial(square, -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1)
	for i := range x {
		t.VFMADD213PS(x[i], x[i], small[i])
	}
	limit, positive, signs := t.all(0.927734375), t.allBits(0x7fffffff), t.allBits(1<<31)
	for i := range x {
		size := t.vec()
		t.VANDPS(positive, x[i], size)
		const less = 1
		if t.lanes == 16 {
			k := t.K()
			t.VCMPPS(U8(less), limit, size, k)
			t.VMOVAPS(small[i], k, large[i])
		} else {
			t.VCMPPS(U8(less), limit, size, size)
			t.VBLENDVPS(size, small[i], large[i], large[i])
		}
		t.VANDPS(signs, x[i], x[i])
		t.VORPS(x[i], large[i], large[i])
	}
	return large
}
