package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tailMasks returns a table of 16 words of ones, then 16 of zeros. The 16 words
// from word 16-n on are a mask of the first n of 16 elements, for VMASKMOVPS.
func tailMasks(g *gen) Mem {
	if g.masks.Base == nil {
		g.masks = g.StaticGlobal("tailMasks")
		g.DataAttributes(attr.RODATA | attr.NOPTR)
		word := [2]U32{0xffffffff, 0}
		for i := range 32 {
			g.AddDatum(4*i, word[i/16])
		}
	}
	base := g.GP64()
	g.LEAQ(g.masks, base)
	return Mem{Base: base}
}

// lowBits makes a mask of the n lowest lanes, n at most 16.
func lowBits(g *gen, n reg.GPVirtual) reg.OpmaskVirtual {
	ones, mask := g.GP32(), g.K()
	g.MOVL(I32(-1), ones)
	g.BZHIL(n.As32(), ones, ones)
	g.KMOVW(ones, mask)
	return mask
}
