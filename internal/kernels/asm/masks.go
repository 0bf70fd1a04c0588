package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/operand"
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
