package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func activationKernels(g *gen) {
	for _, f := range []struct {
		name, doc string
		group     int
		apply     func(t round, src reg.GPVirtual) vectors
	}{
		{"exp", "e^x", 4, expAll},
		{"geluTanh", "the tanh form of GELU", 4, geluTanh},
		{"quickGelu", "x*sigmoid(1.702*x)", 4, quickGelu},
		{"geluErf", "the exact GELU", 3, geluErf},
		{"tanh", "the hyperbolic tangent", 3, tanh},
		{"relu", "max(x, 0)", 4, relu},
	} {
		g.bothWidths(func(s simd) {
			name := s.name(f.name)
			s.function(name, "func(dst, src *float32, n int)", name+" computes "+f.doc+" of n elements.")
			dst, src := s.pointer("dst"), s.pointer("src")
			s.eachGroup(f.group, func(t round) { t.storeAll(f.apply(t, src), dst) })
			s.done()
		})
	}
	// Adding 1.5*2^16 to a float64 and taking it away again rounds it to a
	// multiple of 2^-36.
	terms := g.constant64(1.5 * (1 << 16))
	g.bothWidths(func(s simd) { softmaxKernel(s, terms) })
}

// rounding is added to a number below 2^22 to round it to an integer, which is
// then in the lowest bits.
const rounding = 1.5 * (1 << 23)

// reduced returns p = e^r and n, where x = n*ln(2) + r and |r| <= ln(2)/2: r in
// two steps of which the first is exact, p a polynomial of degree 6 fitted for
// the least relative error, 4.4e-9. The lowest bits of n are those of n + bias.
// It overwrites x. NaN gives NaN.
func (s simd) reduced(x vectors, bias float32) (p, n vectors) {
	n = s.copies(len(x), rounding+bias)
	whole := s.vectors(len(x))
	log := s.all(math.Log2E)
	for i := range x {
		s.VFMADD231PS(log, x[i], n[i])
	}
	rounder := s.all(rounding + bias)
	for i := range x {
		s.VSUBPS(rounder, n[i], whole[i])
	}
	hi := float32(math.Ln2)
	for _, part := range []float32{hi, float32(math.Ln2 - float64(hi))} {
		c := s.all(part)
		for i := range x {
			s.VFNMADD231PS(c, whole[i], x[i])
		}
	}
	return s.polynomial(x, 1.4036062639e-3, 8.3722891286e-3, 4.1665550321e-2, 1.6666488349e-1, 0.5, 1, 1), n
}

// polynomial has the coefficient of the highest power first.
func (s simd) polynomial(x vectors, coefficients ...float32) vectors {
	p := s.copies(len(x), coefficients[0])
	for _, c := range coefficients[1:] {
		next := s.all(c)
		for i := range x {
			s.VFMADD213PS(next, x[i], p[i])
		}
	}
	return p
}

// clamp keeps x at or above low and at or below high, if they are finite. As
// first operands of min and max they let a NaN in x through.
func (s simd) clamp(x vectors, low, high float32) {
	if low > -math.MaxFloat32 {
		bound := s.all(low)
		for i := range x {
			s.VMAXPS(x[i], bound, x[i])
		}
	}
	if high < math.MaxFloat32 {
		bound := s.all(high)
		for i := range x {
			s.VMINPS(x[i], bound, x[i])
		}
	}
}

// scale multiplies p by 2^n, given n + 127 in the lowest bits, from 0 (a factor
// of 0) to 255 (Inf).
func (s simd) scale(p, n vectors) {
	for i := range p {
		s.VPSLLD(U8(23), n[i], n[i])
	}
	for i := range p {
		s.VMULPS(n[i], p[i], p[i])
	}
}

// expBounded is e^x for -87 <= x <= 88, Inf from 89 on.
func (s simd) expBounded(x vectors) vectors {
	p, n := s.reduced(x, 127)
	s.scale(p, n)
	return p
}

// expOrZero is e^x for x <= 88, zero where the result is below the normal
// numbers.
func (s simd) expOrZero(x vectors) vectors {
	p, n := s.reduced(x, 127)
	normal := make([]mask, len(x))
	// As integers, NaN is above and negative numbers are below.
	least := s.all(rounding)
	for i := range x {
		if s.lanes == 16 {
			normal[i].k = s.K()
			s.VPCMPD(U8(6), least, n[i], normal[i].k)
		} else {
			normal[i].v = s.vec()
			s.VPCMPGTD(least, n[i], normal[i].v)
		}
	}
	s.scale(p, n)
	for i := range p {
		s.keep(p[i], normal[i])
	}
	return p
}

// expAll is e^x for every x: subnormal results are rounded once.
func expAll(t round, src reg.GPVirtual) vectors {
	x := t.loadAll(src)
	t.clamp(x, -104, 89)
	p, n := t.reduced(x, 0)
	// In two steps, of which the first one is exact.
	half, zero := t.vectors(len(n)), t.all(rounding)
	for i := range n {
		t.VPSUBD(zero, n[i], n[i])
		t.VPSRAD(U8(1), n[i], half[i])
		t.VPSUBD(half[i], n[i], n[i])
	}
	for _, e := range []vectors{half, n} {
		bias := t.allBits(127)
		for i := range e {
			t.VPADDD(bias, e[i], e[i])
		}
		t.scale(p, e)
	}
	return p
}

// geluTanh is x/(1+exp(-2u)), u = sqrt(2/pi)*(x + 0.044715*x^3).
func geluTanh(t round, src reg.GPVirtual) vectors {
	c := 2 * math.Sqrt(2/math.Pi)
	x := t.loadAll(src)
	u := t.vectors(t.size)
	for i := range x {
		t.VMULPS(x[i], x[i], u[i])
	}
	t.multiply(u, float32(-0.044715*c))
	t.add(u, float32(-c))
	for i := range x {
		t.VMULPS(x[i], u[i], u[i])
	}
	t.clamp(u, -87, 89)
	e := t.expBounded(u)
	t.add(e, 1)
	x = t.loadAll(src)
	for i := range x {
		t.VDIVPS(e[i], x[i], x[i])
	}
	return x
}

// quickGelu is x/(1+exp(-1.702*x)).
func quickGelu(t round, src reg.GPVirtual) vectors {
	u := t.loadAll(src)
	t.multiply(u, -1.702)
	t.clamp(u, -87, 89)
	e := t.expBounded(u)
	t.add(e, 1)
	x := t.loadAll(src)
	for i := range x {
		t.VDIVPS(e[i], x[i], x[i])
	}
	return x
}

// geluErf is x*h for x < 0 and x*(1-h) else, with h = erfc(|x|/sqrt(2))/2. The
// erfc is the Chebyshev fit of Numerical Recipes (2nd edition, 6.2, erfcc), whose
// relative error is below 1.2e-7 everywhere.
func geluErf(t round, src reg.GPVirtual) vectors {
	z := t.loadAll(src)
	t.and(z, 0x7fffffff)
	t.multiply(z, math.Sqrt2/2)
	r, half, one := t.copies(t.size, 1), t.all(0.5), t.all(1)
	for i := range z {
		t.VFMADD231PS(half, z[i], r[i])
	}
	for i := range z {
		t.VDIVPS(r[i], one, r[i])
	}
	p := t.polynomial(r, 0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223)
	for i := range z {
		t.VFNMADD231PS(z[i], z[i], p[i])
	}
	h := t.expOrZero(p)
	for i := range h {
		t.VMULPS(r[i], h[i], h[i])
	}
	t.multiply(h, 0.5)
	x := t.loadAll(src)
	for i := range h {
		upper := t.all(1)
		t.VSUBPS(h[i], upper, upper)
		if t.lanes == 16 {
			negative := t.K()
			t.VPMOVD2M(x[i], negative)
			t.VMOVAPS(h[i], negative, upper)
		} else {
			t.VBLENDVPS(x[i], h[i], upper, upper)
		}
		t.VMULPS(upper, x[i], x[i])
	}
	return x
}

// tanh is that of Cephes tanhf (Moshier): a polynomial where |x| < 0.625, so
// that small x keep their relative accuracy, and 1 - 2/(exp(2|x|)+1) beyond.
func tanh(t round, src reg.GPVirtual) vectors {
	double := t.loadAll(src)
	t.and(double, 0x7fffffff)
	for i := range double {
		t.VADDPS(double[i], double[i], double[i])
	}
	t.clamp(double, -math.MaxFloat32, 40)
	e := t.expBounded(double)
	t.add(e, 1)
	two := t.all(2)
	for i := range e {
		t.VDIVPS(e[i], two, e[i])
	}
	large := t.copies(t.size, 1)
	for i := range e {
		t.VSUBPS(e[i], large[i], large[i])
	}
	x := t.loadAll(src)
	square := t.vectors(t.size)
	for i := range x {
		t.VMULPS(x[i], x[i], square[i])
	}
	p := t.polynomial(square, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	for i := range x {
		t.VMULPS(x[i], square[i], square[i])
	}
	for i := range x {
		t.VFMADD213PS(x[i], square[i], p[i])
	}
	limit, positive, sign := t.all(0.625), t.allBits(0x7fffffff), t.allBits(0x80000000)
	for i := range x {
		size := t.vec()
		t.VANDPS(positive, x[i], size)
		const less = 1
		if t.lanes == 16 {
			small := t.K()
			t.VCMPPS(U8(less), limit, size, small)
			t.VMOVAPS(p[i], small, large[i])
		} else {
			t.VCMPPS(U8(less), limit, size, size)
			t.VBLENDVPS(size, p[i], large[i], large[i])
		}
		t.VANDPS(sign, x[i], x[i])
		t.VORPS(x[i], large[i], large[i]) // and so tanh(-0) is -0
	}
	return large
}

func relu(t round, src reg.GPVirtual) vectors {
	x := t.loadAll(src)
	zero := t.zero()
	for i := range x {
		t.VMAXPS(x[i], zero, x[i]) // the second operand, x, where it is NaN or -0
	}
	return x
}

// softmaxKernel writes e^(x-top) and adds it up in float64, each term rounded
// to a multiple of 2^-36: the sum is exact, whatever the order.
func softmaxKernel(s simd, terms Mem) {
	name := s.name("expSum")
	s.function(name, "func(dst, src *float32, top float32, n int) float64",
		name+" writes e^(x-top) of n elements, or 0 for it below the normal numbers, and returns the sum of its terms, each rounded to a multiple of 2^-36.")
	dst, src, top := s.pointer("dst"), s.pointer("src"), s.broadcast("top")
	sums := []reg.VecVirtual{s.zero(), s.zero()}
	rounder := s.vec()
	s.VMOVUPD(terms, rounder)
	s.eachGroup(3, func(t round) {
		x := t.loadAll(src)
		for i := range x {
			t.VSUBPS(top, x[i], x[i])
		}
		e := t.expOrZero(x)
		t.storeAll(e, dst)
		for _, v := range e {
			t.keep(v, t.tail)
			for half := range 2 {
				part, wide := v.AsX(), s.vec()
				if s.lanes == 16 {
					part = v.AsY()
				}
				switch {
				case half == 1 && s.lanes == 16:
					part = s.YMM()
					s.VEXTRACTF64X4(U8(1), v, part)
				case half == 1:
					part = s.XMM()
					s.VEXTRACTF128(U8(1), v, part)
				}
				s.VCVTPS2PD(part, wide)
				s.VADDPD(rounder, wide, wide)
				s.VSUBPD(rounder, wide, wide)
				s.VADDPD(wide, sums[half], sums[half])
			}
		}
	})
	total := sums[0]
	s.VADDPD(sums[1], total, total)
	if s.lanes == 16 {
		hi := s.YMM()
		s.VEXTRACTF64X4(U8(1), total, hi)
		s.VADDPD(hi, total.AsY(), total.AsY())
	}
	x, y := total.AsX(), s.XMM()
	s.VEXTRACTF128(U8(1), total.AsY(), y)
	s.VADDPD(y, x, x)
	s.VPERMILPD(U8(1), x, y)
	s.VADDPD(y, x, x)
	s.Store(x.(reg.VecVirtual), s.ReturnIndex(0))
	s.done()
}
