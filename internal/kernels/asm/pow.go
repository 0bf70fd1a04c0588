package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func powKernels(g *gen) { g.bothWidths(powKernel) }

// powKernel is e^(y*log(|x|)) in float64, with the sign of x where y is odd. It
// leaves what is none of that: where x is zero or not finite, y is not finite,
// or x is negative and y no integer.
func powKernel(s simd) {
	name := s.name("pow")
	s.function(name, "func(dst, a, b *float32, left *uint16, n int) uint32",
		name+" computes the powers of n elements, a multiple of the vector's. Those that it leaves are those of a in dst and ones in left, a word for each vector; it returns all words or-ed.")
	dst, a, b, left, n := s.pointer("dst"), s.pointer("a"), s.pointer("b"), s.pointer("left"), s.pointer("n")
	found := s.GP32()
	s.XORL(found, found)
	s.Label("loop")
	s.CMPQ(n, U8(s.lanes))
	s.JL(LabelRef("end"))
	x, y, size := s.vec(), s.vec(), s.vec()
	s.VMOVUPS(Mem{Base: a}, x)
	s.VMOVUPS(Mem{Base: b}, y)
	s.VANDPS(s.constantBits(0x7fffffff), x, size)
	h, e := s.log64(s.halves(size)), s.halves(y)
	for i := range h {
		s.VMULPD(e[i], h[i], h[i])
	}
	s.clamp64(h, -200, 200)
	r := s.joined(s.exp64(h))

	inf := s.constant(float32(math.Inf(1)))
	const less, notBelow, equal, notEqual = 17, 29, 0, 4
	known := s.and2(s.compared(isGreater, s.constant(0), size), s.compared(less, inf, size))
	s.VANDPS(s.constantBits(0x7fffffff), y, size)
	known = s.and2(known, s.compared(less, inf, size))
	whole := s.compared(equal, y, s.nearest(y))
	known = s.and2(known, s.or2(s.compared(notBelow, s.constant(0), x), whole))
	half := s.vec()
	s.VMULPS(s.constant(0.5), y, half)
	odd := s.and2(whole, s.compared(notEqual, half, s.nearest(half)))
	sign := s.vec()
	s.VANDPS(s.constantBits(1<<31), x, sign)
	s.keep(sign, odd)
	s.VXORPS(sign, r, r)
	bits := s.GP32()
	if s.lanes == 16 {
		s.VMOVAPS(r, known.k, x)
		s.KMOVW(known.k, bits)
		s.XORL(U32(0xffff), bits)
	} else {
		s.VBLENDVPS(known.v, r, x, x)
		s.VMOVMSKPS(known.v, bits)
		s.XORL(U32(0xff), bits)
	}
	s.VMOVUPS(x, Mem{Base: dst})
	s.MOVW(bits.As16(), Mem{Base: left})
	s.ORL(bits, found)
	for _, p := range []reg.GPVirtual{a, b, dst} {
		s.ADDQ(U8(s.bytes()), p)
	}
	s.ADDQ(U8(2), left)
	s.SUBQ(U8(s.lanes), n)
	s.JMP(LabelRef("loop"))
	s.Label("end")
	s.Store(found, s.ReturnIndex(0))
	s.done()
}

// compared is the lanes where a predicate holds of x and c.
func (s simd) compared(predicate uint8, c Op, x reg.VecVirtual) mask {
	if s.lanes == 16 {
		k := s.K()
		s.VCMPPS(U8(predicate), c, x, k)
		return mask{k: k}
	}
	v := s.vec()
	s.VCMPPS(U8(predicate), c, x, v)
	return mask{v: v}
}

func (s simd) and2(a, b mask) mask {
	if s.lanes == 16 {
		k := s.K()
		s.KANDW(a.k, b.k, k)
		return mask{k: k}
	}
	v := s.vec()
	s.VANDPS(a.v, b.v, v)
	return mask{v: v}
}

func (s simd) or2(a, b mask) mask {
	if s.lanes == 16 {
		k := s.K()
		s.KORW(a.k, b.k, k)
		return mask{k: k}
	}
	v := s.vec()
	s.VORPS(a.v, b.v, v)
	return mask{v: v}
}

// nearest is x rounded to integers.
func (s simd) nearest(x reg.VecVirtual) reg.VecVirtual {
	v := s.vec()
	if s.lanes == 16 {
		s.VRNDSCALEPS(U8(8), x, v)
	} else {
		s.VROUNDPS(U8(8), x, v)
	}
	return v
}
