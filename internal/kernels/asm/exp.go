package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

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
