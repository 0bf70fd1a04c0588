package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func int8Products(g *gen) {
	e := element{name: "i8", size: 1, load: simd.widenI8}
	g.bothWidths(func(s simd) { s.narrowProducts(e) })
}

func (s simd) widenI8(m Mem) []reg.VecVirtual {
	var v []reg.VecVirtual
	for at := 0; at < 16; at += s.lanes {
		x := s.vec()
		s.VPMOVSXBD(m.Offset(at), x)
		s.VCVTDQ2PS(x, x)
		v = append(v, x)
	}
	return v
}
