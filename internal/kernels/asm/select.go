package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
)

func selectKernels(g *gen) {
	for _, size := range []int{1, 4, 8} {
		g.bothWidths(func(s simd) { selectKernel(s, size) })
	}
	g.bothWidths(streamKernel)
	g.bothWidths(clipKernel)
}

// selectKernel picks elements of a where a byte is not zero, else those of b.
func selectKernel(s simd, size int) {
	name, step := s.name(fmt.Sprintf("select%d", size)), s.bytes()/size
	s.function(name, "func(dst, cond, a, b *byte, n int)",
		fmt.Sprintf("%s picks n elements of %d bytes, n a multiple of %d: of a where cond is not zero, else of b.", name, size, step))
	dst, cond, a, b, n := s.pointer("dst"), s.pointer("cond"), s.pointer("a"), s.pointer("b"), s.pointer("n")
	zero := s.zero()
	s.Label("loop")
	s.CMPQ(n, I32(step))
	s.JL(LabelRef("end"))
	x, y, c := s.vec(), s.vec(), s.vec()
	s.VMOVUPS(Mem{Base: b}, y)
	if s.lanes == 16 {
		k := s.K()
		switch size {
		case 1:
			s.VMOVUPS(Mem{Base: cond}, c)
			s.VPTESTMB(c, c, k)
			s.VMOVDQU8(Mem{Base: a}, k, y)
		case 4:
			s.VMOVUPS(Mem{Base: cond}, c.AsX())
			s.VPTESTMB(c.AsX(), c.AsX(), k)
			s.VMOVUPS(Mem{Base: a}, k, y)
		case 8:
			s.VMOVQ(Mem{Base: cond}, c.AsX())
			s.VPTESTMB(c.AsX(), c.AsX(), k)
			s.VMOVUPD(Mem{Base: a}, k, y)
		}
		s.VMOVUPS(y, Mem{Base: dst})
	} else {
		s.VMOVUPS(Mem{Base: a}, x)
		switch size {
		case 1:
			s.VMOVUPS(Mem{Base: cond}, c)
			s.VPCMPEQB(zero, c, c)
			s.VPBLENDVB(c, y, x, x)
		case 4:
			s.VPMOVSXBD(Mem{Base: cond}, c)
			s.VPCMPEQD(zero, c, c)
			s.VBLENDVPS(c, y, x, x)
		case 8:
			s.VPMOVSXBQ(Mem{Base: cond}, c)
			s.VPCMPEQQ(zero, c, c)
			s.VBLENDVPD(c, y, x, x)
		}
		s.VMOVUPS(x, Mem{Base: dst})
	}
	s.ADDQ(I32(step), cond)
	s.ADDQ(I32(s.bytes()), a)
	s.ADDQ(I32(s.bytes()), b)
	s.ADDQ(I32(s.bytes()), dst)
	s.SUBQ(I32(step), n)
	s.JMP(LabelRef("loop"))
	s.Label("end")
	s.done()
}

// streamKernel copies past the caches, to a destination that will not be read
// soon: the line that is written need not be read before.
func streamKernel(s simd) {
	name := s.name("stream")
	s.function(name, "func(dst, src *byte, n int)", name+" copies n bytes, a multiple of 256, to dst, which is aligned to 64.")
	dst, src, n := s.pointer("dst"), s.pointer("src"), s.pointer("n")
	s.TESTQ(n, n)
	s.JZ(LabelRef("end"))
	s.Label("loop")
	count := 256 / s.bytes()
	for first := 0; first < count; first += 4 {
		v := s.vectors(4)
		for i := range v {
			s.VMOVUPS(Mem{Base: src, Disp: (first + i) * s.bytes()}, v[i])
		}
		for i := range v {
			s.VMOVNTPS(v[i], Mem{Base: dst, Disp: (first + i) * s.bytes()})
		}
	}
	s.ADDQ(I32(256), src)
	s.ADDQ(I32(256), dst)
	s.SUBQ(I32(256), n)
	s.JNZ(LabelRef("loop"))
	s.SFENCE()
	s.Label("end")
	s.done()
}

func clipKernel(s simd) {
	name := s.name("clip")
	s.function(name, "func(dst, src *float32, lo, hi float32, n int)", name+" is Clip of n elements.")
	dst, src, lo, hi := s.pointer("dst"), s.pointer("src"), s.broadcast("lo"), s.broadcast("hi")
	s.eachGroup(4, func(t round) {
		x := t.loadAll(src)
		for _, v := range x {
			t.VMAXPS(v, lo, v) // v where it is NaN
			t.VMINPS(v, hi, v)
		}
		t.storeAll(x, dst)
	})
	s.done()
}
