package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func activationKernels(g *gen) {
	for _, f := range []struct {
		name, doc string
		prepare   func(s simd) func(x reg.VecVirtual) reg.VecVirtual
	}{
		{"exp", "e^x", func(s simd) func(reg.VecVirtual) reg.VecVirtual { return s.newExp() }},
		{"geluTanh", "the tanh form of GELU", geluTanh},
		{"geluErf", "the exact GELU", geluErf},
		{"tanh", "the hyperbolic tangent", tanh},
		{"relu", "max(x, 0)", relu},
	} {
		g.bothWidths(func(s simd) {
			name := s.name(f.name)
			s.function(name, "func(dst, src *float32, n int)", name+" computes "+f.doc+" of n elements.")
			dst, src := s.pointer("dst"), s.pointer("src")
			apply := f.prepare(s)
			s.eachVector(func(i reg.GPVirtual, lanes mask) {
				s.store(apply(s.load(at(src, i), lanes)), at(dst, i), lanes)
			})
			s.done()
		})
	}
	g.bothWidths(softmaxKernel)
}

// newExp loads what e^x needs and returns the code for it, which may overwrite
// its argument. The reduction to |r| <= ln(2)/2 and the polynomial are those of
// Cephes expf (Moshier); the scaling is exact, so that subnormal results are
// rounded once. NaN gives NaN.
func (s simd) newExp() func(x reg.VecVirtual) reg.VecVirtual {
	// Beyond these the result is 0 or Inf. As first operands of min and max they
	// let a NaN in x through.
	low, high := s.all(-104), s.all(89)
	return func(x reg.VecVirtual) reg.VecVirtual {
		n, p := s.vec(), s.vec()
		s.VMAXPS(x, low, x)
		s.VMINPS(x, high, x)
		s.VMULPS(s.constant(math.Log2E), x, n)
		const nearest = 8
		if s.lanes == 16 {
			s.VRNDSCALEPS(U8(nearest), n, n)
		} else {
			s.VROUNDPS(U8(nearest), n, n)
		}
		s.VFNMADD231PS(s.constant(0.693359375), n, x)
		s.VFNMADD231PS(s.constant(-2.12194440e-4), n, x)
		s.VMOVUPS(s.constant(1.9875691500e-4), p)
		for _, c := range []float32{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
			s.VFMADD213PS(s.constant(c), x, p)
		}
		square := s.vec()
		s.VMULPS(x, x, square)
		s.VFMADD213PS(x, square, p)
		s.VADDPS(s.constant(1), p, p)
		s.scale(p, n)
		return p
	}
}

// scale multiplies p by 2^n, -151 <= n <= 129.
func (s simd) scale(p, n reg.VecVirtual) {
	if s.lanes == 16 {
		s.VSCALEFPS(n, p, p)
		return
	}
	// In two steps, neither of which leaves the exponents of normal numbers.
	half := s.YMM()
	s.VCVTPS2DQ(n, n)
	s.VPSRAD(U8(1), n, half)
	s.VPSUBD(half, n, n)
	for _, e := range []reg.VecVirtual{half, n} {
		s.VPADDD(s.constantBits(127), e, e)
		s.VPSLLD(U8(23), e, e)
		s.VMULPS(e, p, p)
	}
}

// geluTanh is x/(1+exp(-2u)), u = sqrt(2/pi)*(x + 0.044715*x^3).
func geluTanh(s simd) func(reg.VecVirtual) reg.VecVirtual {
	exp := s.newExp()
	return func(x reg.VecVirtual) reg.VecVirtual {
		u := s.vec()
		s.VMULPS(x, x, u)
		c := 2 * math.Sqrt(2/math.Pi)
		s.VMULPS(s.constant(float32(-0.044715*c)), u, u)
		s.VADDPS(s.constant(float32(-c)), u, u)
		s.VMULPS(x, u, u)
		e := exp(u)
		s.VADDPS(s.constant(1), e, e)
		s.VDIVPS(e, x, x)
		return x
	}
}

// geluErf is x*h for x < 0 and x*(1-h) else, with h = erfc(|x|/sqrt(2))/2. The
// erfc is the Chebyshev fit of Numerical Recipes (2nd edition, 6.2, erfcc), whose
// relative error is below 1.2e-7 everywhere.
func geluErf(s simd) func(reg.VecVirtual) reg.VecVirtual {
	exp := s.newExp()
	return func(x reg.VecVirtual) reg.VecVirtual {
		z, t, p := s.vec(), s.vec(), s.vec()
		s.VANDPS(s.constantBits(0x7fffffff), x, z)
		s.VMULPS(s.constant(math.Sqrt2/2), z, z)
		one := s.all(1)
		s.VMOVAPS(one, t)
		s.VFMADD231PS(s.constant(0.5), z, t)
		s.VDIVPS(t, one, t)
		s.VMOVUPS(s.constant(0.17087277), p)
		for _, c := range []float32{-0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223} {
			s.VFMADD213PS(s.constant(c), t, p)
		}
		s.VFNMADD231PS(z, z, p)
		h := exp(p)
		s.VMULPS(t, h, h)
		s.VMULPS(s.constant(0.5), h, h)
		upper := s.vec()
		s.VSUBPS(h, s.all(1), upper)
		if s.lanes == 16 {
			negative := s.K()
			s.VPMOVD2M(x, negative)
			s.VMOVAPS(h, negative, upper)
		} else {
			s.VBLENDVPS(x, h, upper, upper)
		}
		s.VMULPS(upper, x, x)
		return x
	}
}

// tanh is that of Cephes tanhf (Moshier): a polynomial where |x| < 0.625, so
// that small x keep their relative accuracy, and 1 - 2/(exp(2|x|)+1) beyond.
func tanh(s simd) func(reg.VecVirtual) reg.VecVirtual {
	exp := s.newExp()
	return func(x reg.VecVirtual) reg.VecVirtual {
		size, sign, square, p := s.vec(), s.vec(), s.vec(), s.vec()
		s.VANDPS(s.constantBits(0x7fffffff), x, size)
		s.VANDPS(s.constantBits(0x80000000), x, sign)
		s.VMULPS(x, x, square)
		s.VMOVUPS(s.constant(-5.70498872745e-3), p)
		for _, c := range []float32{2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1} {
			s.VFMADD213PS(s.constant(c), square, p)
		}
		s.VMULPS(x, square, square)
		s.VFMADD213PS(x, square, p)

		double, two, large := s.vec(), s.all(2), s.all(1)
		s.VADDPS(size, size, double)
		e := exp(double)
		s.VADDPS(large, e, e)
		s.VDIVPS(e, two, e)
		s.VSUBPS(e, large, large)
		const less = 1
		if s.lanes == 16 {
			small := s.K()
			s.VCMPPS(U8(less), s.constant(0.625), size, small)
			s.VMOVAPS(p, small, large)
		} else {
			s.VCMPPS(U8(less), s.constant(0.625), size, size)
			s.VBLENDVPS(size, p, large, large)
		}
		s.VORPS(sign, large, large) // and so tanh(-0) is -0
		return large
	}
}

func relu(s simd) func(reg.VecVirtual) reg.VecVirtual {
	zero := s.zero()
	return func(x reg.VecVirtual) reg.VecVirtual {
		s.VMAXPS(x, zero, x) // the second operand, x, where it is NaN or -0
		return x
	}
}

// softmaxKernel writes e^(x-top) and adds it up in float64, each term rounded
// to a multiple of 2^-36: the sum is exact, whatever the order.
func softmaxKernel(s simd) {
	name := s.name("expSum")
	s.function(name, "func(dst, src *float32, top float32, rounder float64, n int) float64",
		name+" writes e^(x-top) of n elements and returns the sum of its terms, each rounded by adding and subtracting rounder.")
	dst, src, top := s.pointer("dst"), s.pointer("src"), s.broadcast("top")
	exp := s.newExp()
	rounder, sums := s.vec(), s.zero()
	arg, err := s.Param("rounder").Resolve()
	if err != nil {
		panic(err)
	}
	s.VBROADCASTSD(arg.Addr, rounder)
	addDoubles := func(half, wide reg.Register) {
		s.VCVTPS2PD(half, wide)
		s.VADDPD(rounder, wide, wide)
		s.VSUBPD(rounder, wide, wide)
		s.VADDPD(wide, sums, sums)
	}
	s.eachVector(func(i reg.GPVirtual, lanes mask) {
		x := s.load(at(src, i), lanes)
		s.VSUBPS(top, x, x)
		e := exp(x)
		s.store(e, at(dst, i), lanes)
		s.keep(e, lanes)
		if s.lanes == 16 {
			hi, wide := s.YMM(), s.ZMM()
			s.VEXTRACTF64X4(U8(1), e, hi)
			addDoubles(e.AsY(), wide)
			addDoubles(hi, wide)
		} else {
			hi, wide := s.XMM(), s.YMM()
			s.VEXTRACTF128(U8(1), e, hi)
			addDoubles(e.AsX(), wide)
			addDoubles(hi, wide)
		}
	})
	if s.lanes == 16 {
		hi := s.YMM()
		s.VEXTRACTF64X4(U8(1), sums, hi)
		s.VADDPD(hi, sums.AsY(), sums.AsY())
	}
	x, y := sums.AsX(), s.XMM()
	s.VEXTRACTF128(U8(1), sums.AsY(), y)
	s.VADDPD(y, x, x)
	s.VPERMILPD(U8(1), x, y)
	s.VADDPD(y, x, x)
	s.Store(x.(reg.VecVirtual), s.ReturnIndex(0))
	s.done()
}
