package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// attentionKernels are those of scores, and of the operators around attention.
func attentionKernels(g *gen) {
	g.bothWidths(hideKernel)
	g.bothWidths(weightedKernel)
	prefetchKernel(g)
	g.bothWidths(rotateHalvesKernel)
	g.bothWidths(rotatePairsKernel)
}

func hideKernel(s simd) {
	name := s.name("hideWhereZero")
	s.function(name, "func(scores *float32, may *byte, n int)", name+" makes n scores the lowest number where may is zero; n is a multiple of 16.")
	scores, may := s.pointer("scores"), s.pointer("may")
	least := s.all(-math.MaxFloat32)
	zero := s.zero()
	s.wholeVectors(func() {
		for at := 0; at < 16; at += s.lanes {
			x, m := s.vec(), s.vec()
			s.VPMOVZXBD(Mem{Base: may, Disp: at}, m)
			s.VMOVUPS(Mem{Base: scores, Disp: 4 * at}, x)
			if s.lanes == 16 {
				k := s.K()
				s.VPTESTNMD(m, m, k)
				s.VMOVAPS(least, k, x)
			} else {
				s.VPCMPEQD(zero, m, m)
				s.VBLENDVPS(m, least, x, x)
			}
			s.VMOVUPS(x, Mem{Base: scores, Disp: 4 * at})
		}
		s.ADDQ(U8(64), scores)
		s.ADDQ(U8(16), may)
	})
}

func prefetchKernel(g *gen) {
	g.function("prefetchAVX2", "func(at *float32, ld uintptr, rows, lines int)", "prefetchAVX2 brings lines of 64 bytes of each of some rows, ld bytes apart, into the second cache.")
	s := simd{g, 8}
	row, ld, rows, lines := s.pointer("at"), s.pointer("ld"), s.pointer("rows"), s.pointer("lines")
	p, n := g.GP64(), g.GP64()
	g.Label("row")
	g.SUBQ(U8(1), rows)
	g.JL(LabelRef("end"))
	g.MOVQ(row, p)
	g.MOVQ(lines, n)
	g.Label("line")
	g.PREFETCHT1(Mem{Base: p})
	g.ADDQ(U8(64), p)
	g.SUBQ(U8(1), n)
	g.JG(LabelRef("line"))
	g.ADDQ(ld, row)
	g.JMP(LabelRef("row"))
	g.Label("end")
	g.RET()
}

func weightedKernel(s simd) {
	name := s.name("scaleWeighted")
	s.function(name, "func(dst, src, weight *float32, scale, offset float32, n int)", name+" computes (x*scale)*(offset+weight) of n elements.")
	dst, src, weight := s.pointer("dst"), s.pointer("src"), s.pointer("weight")
	scale, offset := s.broadcast("scale"), s.broadcast("offset")
	s.eachVector(func(i reg.GPVirtual, lanes mask) {
		x, w := s.load(at(src, i), lanes), s.load(at(weight, i), lanes)
		s.VMULPS(scale, x, x)
		s.VADDPS(offset, w, w)
		s.VMULPS(w, x, x)
		s.store(x, at(dst, i), lanes)
	})
	s.done()
}

func rotateHalvesKernel(s simd) {
	name := s.name("rotateHalves")
	s.function(name, "func(ya, yb, a, b, cos, sin *float32, n int)", name+" computes a*cos-b*sin and b*cos+a*sin of n pairs.")
	ya, yb, pa, pb, pc, ps := s.pointer("ya"), s.pointer("yb"), s.pointer("a"), s.pointer("b"), s.pointer("cos"), s.pointer("sin")
	s.eachVector(func(i reg.GPVirtual, lanes mask) {
		a, b, cos, sin := s.load(at(pa, i), lanes), s.load(at(pb, i), lanes), s.load(at(pc, i), lanes), s.load(at(ps, i), lanes)
		x, y := s.vec(), s.vec()
		s.VMULPS(sin, b, x)
		s.VMULPS(sin, a, y)
		s.VFMSUB231PS(cos, a, x)
		s.VFMADD231PS(cos, b, y)
		s.store(x, at(ya, i), lanes)
		s.store(y, at(yb, i), lanes)
	})
	s.done()
}

func rotatePairsKernel(s simd) {
	name := s.name("rotatePairs")
	s.function(name, "func(dst, src, cos, sin *float32, n int)", name+" rotates the pairs of n neighbouring elements by n/2 angles; n is a multiple of 16.")
	dst, src, pc, ps := s.pointer("dst"), s.pointer("src"), s.pointer("cos"), s.pointer("sin")
	s.wholeVectors(func() {
		for at := 0; at < 16; at += s.lanes {
			x, turned, cos, sin := s.vec(), s.vec(), s.vec(), s.vec()
			s.VPMOVZXDQ(Mem{Base: pc, Disp: 2 * at}, cos)
			s.VPMOVZXDQ(Mem{Base: ps, Disp: 2 * at}, sin)
			s.VMOVSLDUP(cos, cos)
			s.VMOVSLDUP(sin, sin)
			s.VMOVUPS(Mem{Base: src, Disp: 4 * at}, x)
			s.VPERMILPS(U8(0xb1), x, turned)
			s.VMULPS(sin, turned, turned)
			s.VFMADDSUB213PS(turned, cos, x)
			s.VMOVUPS(x, Mem{Base: dst, Disp: 4 * at})
		}
		s.ADDQ(U8(64), src)
		s.ADDQ(U8(64), dst)
		s.ADDQ(U8(32), pc)
		s.ADDQ(U8(32), ps)
	})
}
