package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The probes only multiply, or read, as fast as the machine can.

func probeKernels(g *gen) {
	g.bothWidths(fmaProbe)
	g.bothWidths(readProbe)
}

// fmaProbe has 12 independent chains: more than the latency of the instruction
// times the number of units.
func fmaProbe(s simd) {
	name := s.name("probeFMA")
	s.function(name, "func(rounds int)", name+" does 12 independent vector FMAs in each round, of which there is at least one.")
	acc, x := make([]reg.VecVirtual, 12), s.zero()
	for i := range acc {
		acc[i] = s.zero()
	}
	rounds := s.pointer("rounds")
	s.Label("loop")
	for _, v := range acc {
		s.VFMADD231PS(x, x, v)
	}
	s.DECQ(rounds)
	s.JNZ(LabelRef("loop"))
	s.done()
}

func readProbe(s simd) {
	name := s.name("probeRead")
	s.function(name, "func(src *float32, n int)", name+" reads n elements, n a positive multiple of 64.")
	src, n := s.pointer("src"), s.pointer("n")
	s.Label("loop")
	for at := 0; at < 256; at += s.bytes() {
		s.VMOVUPS(Mem{Base: src, Disp: at}, s.vec())
	}
	s.ADDQ(U32(256), src)
	s.SUBQ(U8(64), n)
	s.JNZ(LabelRef("loop"))
	s.done()
}
