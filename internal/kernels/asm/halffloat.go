package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The conversion kernels work on whole vectors only: 16 elements at a time.

func halfFloatKernels(g *gen) {
	narrow := func(s simd, m Mem) (half reg.VecVirtual) {
		if s.lanes == 16 {
			half = s.YMM()
		} else {
			half = s.XMM()
		}
		s.VMOVUPS(m, half)
		return half
	}
	g.bothWidths(func(s simd) {
		s.widen("f16ToF32", func(from Mem) reg.VecVirtual {
			v := s.vec()
			s.VCVTPH2PS(narrow(s, from), v)
			return v
		})
	})
	g.bothWidths(func(s simd) {
		s.widen("bf16ToF32", func(from Mem) reg.VecVirtual {
			v := s.vec()
			s.VPMOVZXWD(narrow(s, from), v)
			s.VPSLLD(U8(16), v, v)
			return v
		})
	})
	g.bothWidths(func(s simd) {
		s.shorten("f32ToF16", func(v reg.VecVirtual, to Mem) { s.VCVTPS2PH(U8(0), v, to) })
	})
	g.bothWidths(func(s simd) { s.shorten("f32ToBF16", s.roundToBF16) })
}

func (s simd) widen(name string, convert func(from Mem) reg.VecVirtual) {
	name = s.name(name)
	s.function(name, "func(dst *float32, src *uint16, n int)", name+" converts n elements, n a multiple of 16.")
	dst, src := s.pointer("dst"), s.pointer("src")
	s.wholeVectors(func() {
		for at := 0; at < 16; at += s.lanes {
			s.VMOVUPS(convert(Mem{Base: src, Disp: 2 * at}), Mem{Base: dst, Disp: 4 * at})
		}
		s.ADDQ(U8(32), src)
		s.ADDQ(U8(64), dst)
	})
}

func (s simd) shorten(name string, convert func(v reg.VecVirtual, to Mem)) {
	name = s.name(name)
	s.function(name, "func(dst *uint16, src *float32, n int)", name+" converts n elements, n a multiple of 16.")
	dst, src := s.pointer("dst"), s.pointer("src")
	s.wholeVectors(func() {
		for at := 0; at < 16; at += s.lanes {
			v := s.vec()
			s.VMOVUPS(Mem{Base: src, Disp: 4 * at}, v)
			convert(v, Mem{Base: dst, Disp: 2 * at})
		}
		s.ADDQ(U8(64), src)
		s.ADDQ(U8(32), dst)
	})
}

func (s simd) wholeVectors(body func()) {
	n := s.pointer("n")
	s.SUBQ(U8(16), n)
	s.JL(LabelRef("end"))
	s.Label("loop")
	body()
	s.SUBQ(U8(16), n)
	s.JGE(LabelRef("loop"))
	s.Label("end")
	s.done()
}

// roundToBF16 adds half of the last place that stays, less one bit unless that
// place is odd, and drops the lower half. A NaN keeps its upper half, quiet.
func (s simd) roundToBF16(v reg.VecVirtual, to Mem) {
	upper, rounded := s.vec(), s.vec()
	s.VPSRLD(U8(16), v, upper)
	if s.lanes == 16 {
		nan := s.K()
		s.VCMPPS(U8(3), v, v, nan)
		s.VPANDD(s.constantBits(1), upper, rounded)
		s.VPADDD(s.constantBits(0x7fff), rounded, rounded)
		s.VPADDD(v, rounded, rounded)
		s.VPSRLD(U8(16), rounded, rounded)
		s.VPORD(s.constantBits(0x40), upper, nan, rounded)
		s.VPMOVDW(rounded, to)
		return
	}
	s.VPAND(s.constantBits(1), upper, rounded)
	s.VPADDD(s.constantBits(0x7fff), rounded, rounded)
	s.VPADDD(v, rounded, rounded)
	s.VPSRLD(U8(16), rounded, rounded)
	s.VPOR(s.constantBits(0x40), upper, upper)
	s.VCMPPS(U8(3), v, v, v)
	s.VBLENDVPS(v, upper, rounded, rounded)
	hi := s.XMM()
	s.VEXTRACTI128(U8(1), rounded, hi)
	s.VPACKUSDW(hi, rounded.AsX(), hi)
	s.VMOVUPS(hi, to)
}
