package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The functions of this file compute in float64, so that results of float32 are
// rounded once from what is nearly exact. A vector of float32 is two of float64.

// value64 is a vector of one float64, in memory.
func (g *gen) value64(value float64) Mem { return g.bits64(math.Float64bits(value)) }

func (g *gen) bits64(bits uint64) Mem {
	if m, ok := g.constants64[bits]; ok {
		return m
	}
	m := g.StaticGlobal(fmt.Sprintf("wide%016x", bits))
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 8 {
		g.AddDatum(8*i, U64(bits))
	}
	if g.constants64 == nil {
		g.constants64 = map[uint64]Mem{}
	}
	g.constants64[bits] = m
	return m
}

// load64 is a vector of one float64, in a register.
func (s simd) load64(m Mem) reg.VecVirtual {
	v := s.vec()
	s.VMOVUPD(m, v)
	return v
}

// halves are x as float64.
func (s simd) halves(x reg.VecVirtual) vectors {
	lo, hi, upper := s.vec(), s.vec(), s.halfVec()
	if s.lanes == 16 {
		s.VEXTRACTF64X4(U8(1), x, upper)
		s.VCVTPS2PD(x.AsY(), lo)
	} else {
		s.VEXTRACTF128(U8(1), x, upper)
		s.VCVTPS2PD(x.AsX(), lo)
	}
	s.VCVTPS2PD(upper, hi)
	return vectors{lo, hi}
}

// joined are the two halves, rounded to float32.
func (s simd) joined(h vectors) reg.VecVirtual {
	lo, hi, x := s.halfVec(), s.halfVec(), s.vec()
	if s.lanes == 16 {
		s.VCVTPD2PS(h[0], lo)
		s.VCVTPD2PS(h[1], hi)
		s.VINSERTF64X4(U8(1), hi, lo.AsZ(), x)
	} else {
		s.VCVTPD2PSY(h[0], lo)
		s.VCVTPD2PSY(h[1], hi)
		s.VINSERTF128(U8(1), hi, lo.AsY(), x)
	}
	return x
}

// polynomial64 has the coefficient of the highest power first.
func (s simd) polynomial64(x vectors, coefficients ...float64) vectors {
	p := each(len(x), func(int) reg.VecVirtual { return s.load64(s.value64(coefficients[0])) })
	for _, c := range coefficients[1:] {
		m := s.value64(c)
		for i := range x {
			s.VFMADD213PD(m, x[i], p[i])
		}
	}
	return p
}

// Two parts of ln(2), of which the first has zeros at the end.
const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10
)

// expm1Parts returns 2^n and q = e^r - 1 with x = n*ln(2) + r, |r| <= ln(2)/2, for
// |x| <= 200. It overwrites x. The error of q is below 2^-42 of it.
func (s simd) expm1Parts(x vectors) (scale, q vectors) {
	const rounder = 1.5 * (1 << 52)
	n := each(len(x), func(int) reg.VecVirtual { return s.load64(s.value64(rounder)) })
	whole := s.vectors(len(x))
	log, round := s.value64(math.Log2E), s.value64(rounder)
	for i := range x {
		s.VFMADD231PD(log, x[i], n[i])
		s.VSUBPD(round, n[i], whole[i])
		s.VFNMADD231PD(s.value64(ln2Hi), whole[i], x[i])
		s.VFNMADD231PD(s.value64(ln2Lo), whole[i], x[i])
		s.VPADDQ(s.bits64(1023), n[i], n[i])
		s.VPSLLQ(U8(52), n[i], n[i])
	}
	q = s.polynomial64(x, 1./39916800, 1./3628800, 1./362880, 1./40320, 1./5040, 1./720, 1./120, 1./24, 1./6, 0.5, 1)
	for i := range x {
		s.VMULPD(x[i], q[i], q[i])
	}
	return n, q
}

// exp64 is e^x for |x| <= 200. It overwrites x.
func (s simd) exp64(x vectors) vectors {
	scale, q := s.expm1Parts(x)
	for i := range q {
		s.VFMADD213PD(scale[i], scale[i], q[i])
	}
	return q
}

// clamp64 keeps x between bounds; NaN stays NaN.
func (s simd) clamp64(x vectors, low, high float64) {
	lo, hi := s.load64(s.value64(low)), s.load64(s.value64(high))
	for _, v := range x {
		s.VMAXPD(v, lo, v)
		s.VMINPD(v, hi, v)
	}
}

// log64 is the natural logarithm of positive finite numbers, which it leaves:
// log(2^e*m) = e*ln(2) + 2*atanh((m-1)/(m+1)) with m between sqrt(1/2) and
// sqrt(2). The error is below 2^-44 of the result.
func (s simd) log64(x vectors) vectors {
	const root = 0x3fe6a09e667f3bcd // sqrt(1/2)
	e, f, t := s.vectors(len(x)), s.vectors(len(x)), s.vectors(len(x))
	for i, v := range x {
		s.VMOVUPD(s.bits64(0x3ff0000000000000-root), e[i])
		s.VPADDQ(v, e[i], e[i])
		s.VANDPD(s.bits64(1<<52-1), e[i], f[i])
		s.VPADDQ(s.bits64(root), f[i], f[i])
		// The exponent as the low bits of a float64.
		s.VPSRLQ(U8(52), e[i], e[i])
		s.VORPD(s.value64(1<<52), e[i], e[i])
		s.VSUBPD(s.value64(1<<52+1023), e[i], e[i])
		s.VSUBPD(s.value64(1), f[i], f[i])
		s.VADDPD(s.value64(2), f[i], t[i])
	}
	for i := range x {
		s.VDIVPD(t[i], f[i], f[i])
		s.VMULPD(f[i], f[i], t[i])
	}
	p := s.polynomial64(t, 2./15, 2./13, 2./11, 2./9, 2./7, 2./5, 2./3, 2)
	for i := range x {
		s.VMULPD(f[i], p[i], p[i])
		s.VFMADD231PD(s.value64(math.Ln2), e[i], p[i])
	}
	return p
}

// blend64 replaces lanes of r by those of v where a predicate holds of x and a
// constant.
func (s simd) blend64(predicate uint8, x reg.VecVirtual, c Mem, v, r reg.VecVirtual) {
	if s.lanes == 16 {
		k := s.K()
		s.VCMPPD(U8(predicate), c, x, k)
		s.VMOVAPD(v, k, r)
		return
	}
	m := s.vec()
	s.VCMPPD(U8(predicate), c, x, m)
	s.VBLENDVPD(m, v, r, r)
}

// Predicates of comparisons.
const (
	isEqual       = 0
	isUnordered   = 3
	isNotLess     = 5  // or unordered
	isNotLessThan = 13 // greater or equal
	isGreater     = 30
)

// logSpecial corrects r = log(x) where x is not a positive finite number: zero
// gives -Inf, less NaN; Inf and NaN are themselves.
func (s simd) logSpecial(x, r vectors) {
	minus, root := s.load64(s.value64(math.Inf(-1))), s.vec()
	for i, v := range x {
		s.VSQRTPD(v, root)
		s.blend64(isNotLess, v, s.value64(math.Inf(1)), root, r[i])
		s.blend64(1, v, s.value64(0), root, r[i])
		s.blend64(isEqual, v, s.value64(0), minus, r[i])
	}
}
