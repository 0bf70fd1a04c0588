package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func dotKernels(g *gen) {
	for rows := 1; rows <= 4; rows++ {
		dotTileAVX512(g, rows)
	}
	dotRowAVX512(g)
	dotTileAVX2(g)
}

const dotSignature = "func(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, ldb uintptr, k int, cols int)"

// columnPointers loads the pointers to four rows of B. Where fewer exist the
// last one is repeated, so that nothing beyond it is read.
func columnPointers(g *gen) []reg.GPVirtual {
	b, ldb := g.Load(g.Param("b"), g.GP64()).(reg.GPVirtual), g.Load(g.Param("ldb"), g.GP64()).(reg.GPVirtual)
	cols := g.Load(g.Param("cols"), g.GP64()).(reg.GPVirtual)
	pointers := []reg.GPVirtual{b}
	for j := 1; j < 4; j++ {
		prev, next := pointers[j-1], g.GP64()
		g.LEAQ(Mem{Base: prev, Index: ldb, Scale: 1}, next)
		g.CMPQ(cols, U8(j))
		g.CMOVQLE(prev, next)
		pointers = append(pointers, next)
	}
	return pointers
}

// kLoop runs body for every whole 16 elements with the byte offset in at, then
// tail for the rest, if any, with its mask.
func kLoop(g *gen, body func(at reg.GPVirtual), tail func(at reg.GPVirtual, rest reg.GPVirtual)) {
	k, at, end := g.Load(g.Param("k"), g.GP64()).(reg.GPVirtual), g.GP64(), g.GP64()
	g.XORQ(at, at)
	g.MOVQ(k, end)
	g.ANDQ(I8(-16), end)
	g.SHLQ(U8(2), end)
	g.JZ(LabelRef("rest"))
	g.Label("loop")
	body(at)
	g.ADDQ(U8(64), at)
	g.CMPQ(at, end)
	g.JLT(LabelRef("loop"))
	g.Label("rest")
	g.ANDQ(U8(15), k)
	g.JZ(LabelRef("reduce"))
	tail(at, k)
	g.Label("reduce")
}

// lowBits makes a mask of the n lowest lanes, n at most 16.
func lowBits(g *gen, n reg.GPVirtual) reg.OpmaskVirtual {
	ones, mask := g.GP32(), g.K()
	g.MOVL(I32(-1), ones)
	g.BZHIL(n.As32(), ones, ones)
	g.KMOVW(ones, mask)
	return mask
}

func (g *gen) zeroZ(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = g.ZMM()
		g.VPXORD(v[i], v[i], v[i])
	}
	return v
}

// addQuarters adds two choices of the 128-bit lanes of x (first two) and y: the
// step of a reduction tree that two vectors share.
func (g *gen) addQuarters(x, y reg.VecVirtual, lo, hi uint8) reg.VecVirtual {
	t, u := g.ZMM(), g.ZMM()
	g.VSHUFF64X2(U8(lo), y, x, t)
	g.VSHUFF64X2(U8(hi), y, x, u)
	g.VADDPS(u, t, t)
	return t
}

// fourSums does the first two levels of the tree (l and l+8, l and l+4) for four
// vectors: the result has four partial sums of vector i in its 128-bit lane i.
func (g *gen) fourSums(v [4]reg.VecVirtual) reg.VecVirtual {
	x := g.addQuarters(v[0], v[1], 0x44, 0xee)
	y := g.addQuarters(v[2], v[3], 0x44, 0xee)
	return g.addQuarters(x, y, 0x88, 0xdd)
}

// sixteenSums does the last two levels (l and l+2, l and l+1) for four results
// of fourSums: element t of 128-bit lane i is the sum of vector i of w[t].
func (g *gen) sixteenSums(w [4]reg.VecVirtual) reg.VecVirtual {
	halves := func(x, y reg.VecVirtual) reg.VecVirtual {
		t, u := g.ZMM(), g.ZMM()
		g.VUNPCKLPD(y, x, t)
		g.VUNPCKHPD(y, x, u)
		g.VADDPS(u, t, t)
		return t
	}
	x, y := halves(w[0], w[1]), halves(w[2], w[3])
	t, u := g.ZMM(), g.ZMM()
	g.VSHUFPS(U8(0x88), y, x, t)
	g.VSHUFPS(U8(0xdd), y, x, u)
	g.VADDPS(u, t, t)
	return t
}

// dotTileAVX512 computes rows x 4 dot products.
func dotTileAVX512(g *gen, rows int) {
	name := fmt.Sprintf("dot%dx4AVX512", rows)
	g.function(name, dotSignature, name+" computes the dot products of rows of A with 1 to 4 (cols) rows of B. Leading dimensions are in bytes.")
	a := newRowPointers(g, g.Load(g.Param("a"), g.GP64()).(reg.GPVirtual), g.Load(g.Param("lda"), g.GP64()).(reg.GPVirtual), rows)
	b := columnPointers(g)
	acc := g.zeroZ(rows * 4)
	fmas := func(loadA, loadB func(Mem, reg.VecVirtual), at reg.GPVirtual) {
		bv := make([]reg.VecVirtual, 4)
		for j := range bv {
			bv[j] = g.ZMM()
			loadB(Mem{Base: b[j], Index: at, Scale: 1}, bv[j])
		}
		for i := range rows {
			x := g.ZMM()
			loadA(a.at(i, 0), x)
			for j := range bv {
				g.VFMADD231PS(bv[j], x, acc[4*i+j])
			}
		}
	}
	plain := func(m Mem, v reg.VecVirtual) { g.VMOVUPS(m, v) }
	kLoop(g, func(at reg.GPVirtual) {
		fmas(plain, plain, at)
		a.advance(g, U8(64))
	}, func(at, rest reg.GPVirtual) {
		mask := lowBits(g, rest)
		masked := func(m Mem, v reg.VecVirtual) { g.VMOVUPS_Z(m, mask, v) }
		fmas(masked, masked, at)
	})

	cols := lowBits(g, g.Load(g.Param("cols"), g.GP64()).(reg.GPVirtual))
	c := g.Load(g.Param("c"), g.GP64()).(reg.GPVirtual)
	if rows == 1 {
		w, t := g.fourSums([4]reg.VecVirtual(acc)), g.ZMM()
		g.VPERMILPD(U8(0x55), w, t)
		g.VADDPS(t, w, w)
		g.VPERMILPS(U8(0xb1), w, t)
		g.VADDPS(t, w, w)
		lanes, first := g.GP32(), g.K()
		g.MOVL(U32(0x1111), lanes)
		g.KMOVW(lanes, first)
		g.VCOMPRESSPS_Z(w, first, t)
		g.VMOVUPS(t.AsX(), cols, Mem{Base: c})
		g.done()
		return
	}
	var w [4]reg.VecVirtual
	for j := range w {
		var v [4]reg.VecVirtual
		for i := range v {
			v[i] = acc[4*min(i, rows-1)+j]
		}
		w[j] = g.fourSums(v)
	}
	sums := g.sixteenSums(w)
	ldc := g.Load(g.Param("ldc"), g.GP64()).(reg.GPVirtual)
	for i := range rows {
		row := g.XMM()
		g.VEXTRACTF32X4(U8(i), sums, row)
		g.VMOVUPS(row, cols, Mem{Base: c})
		if i+1 < rows {
			g.ADDQ(ldc, c)
		}
	}
	g.done()
}

// dotRowAVX512 computes 16 outputs of one row.
func dotRowAVX512(g *gen) {
	g.function("dot1x16AVX512", "func(c *float32, a *float32, b *float32, ldb uintptr, k int)",
		"dot1x16AVX512 computes the dot products of one row of A with 16 rows of B, which are ldb bytes apart.")
	a := g.Load(g.Param("a"), g.GP64()).(reg.GPVirtual)
	ld := g.Load(g.Param("ldb"), g.GP64()).(reg.GPVirtual)
	b := newRowPointers(g, g.Load(g.Param("b"), g.GP64()).(reg.GPVirtual), ld, 16)
	acc := g.zeroZ(16)
	kLoop(g, func(at reg.GPVirtual) {
		x := g.ZMM()
		g.VMOVUPS(Mem{Base: a, Index: at, Scale: 1}, x)
		for j := range acc {
			g.VFMADD231PS(b.at(j, 0), x, acc[j])
		}
		b.advance(g, U8(64))
	}, func(at, rest reg.GPVirtual) {
		mask := lowBits(g, rest)
		x := g.ZMM()
		g.VMOVUPS_Z(Mem{Base: a, Index: at, Scale: 1}, mask, x)
		for j := range acc {
			y := g.ZMM()
			g.VMOVUPS_Z(b.at(j, 0), mask, y)
			g.VFMADD231PS(y, x, acc[j])
		}
	})
	var w [4]reg.VecVirtual
	for t := range w {
		w[t] = g.fourSums([4]reg.VecVirtual{acc[t], acc[4+t], acc[8+t], acc[12+t]})
	}
	sums := g.sixteenSums(w)
	g.VMOVUPS(sums, Mem{Base: g.Load(g.Param("c"), g.GP64()).(reg.GPVirtual)})
	g.done()
}

// dotTileAVX2 computes 1 x 4 dot products; its 16 lanes are two vectors. The
// elements after the last whole 16 are read with masks.
func dotTileAVX2(g *gen) {
	g.function("dot1x4AVX2", "func(c *[4]float32, a *float32, b *float32, ldb uintptr, k int, cols int)",
		"dot1x4AVX2 computes the dot products of one row of A with 1 to 4 (cols) rows of B, which are ldb bytes apart.")
	a := g.Load(g.Param("a"), g.GP64()).(reg.GPVirtual)
	b := columnPointers(g)
	acc := make([]reg.VecVirtual, 8)
	for i := range acc {
		acc[i] = g.YMM()
		g.VXORPS(acc[i], acc[i], acc[i])
	}
	kLoop(g, func(at reg.GPVirtual) {
		for half := range 2 {
			x := g.YMM()
			g.VMOVUPS(Mem{Base: a, Index: at, Scale: 1, Disp: 32 * half}, x)
			for j := range 4 {
				g.VFMADD231PS(Mem{Base: b[j], Index: at, Scale: 1, Disp: 32 * half}, x, acc[2*j+half])
			}
		}
	}, func(at, rest reg.GPVirtual) {
		masks := tailMasks(g)
		g.NEGQ(rest)
		for half := range 2 {
			mask, x, y := g.YMM(), g.YMM(), g.YMM()
			g.VMOVUPS(masks.Offset(64+32*half).Idx(rest, 4), mask)
			g.VMASKMOVPS(Mem{Base: a, Index: at, Scale: 1, Disp: 32 * half}, mask, x)
			for j := range 4 {
				g.VMASKMOVPS(Mem{Base: b[j], Index: at, Scale: 1, Disp: 32 * half}, mask, y)
				g.VFMADD231PS(y, x, acc[2*j+half])
			}
		}
	})
	var v [4]reg.VecVirtual
	for j := range v {
		hi := g.XMM()
		v[j] = acc[2*j].AsX().(reg.VecVirtual)
		g.VADDPS(acc[2*j+1], acc[2*j], acc[2*j])
		g.VEXTRACTF128(U8(1), acc[2*j], hi)
		g.VADDPS(hi, v[j], v[j])
	}
	halves := func(x, y reg.VecVirtual) reg.VecVirtual {
		t, u := g.XMM(), g.XMM()
		g.VUNPCKLPD(y, x, t)
		g.VUNPCKHPD(y, x, u)
		g.VADDPS(u, t, t)
		return t
	}
	x, y := halves(v[0], v[1]), halves(v[2], v[3])
	t, u := g.XMM(), g.XMM()
	g.VSHUFPS(U8(0x88), y, x, t)
	g.VSHUFPS(U8(0xdd), y, x, u)
	g.VADDPS(u, t, t)
	g.VMOVUPS(t, Mem{Base: g.Load(g.Param("c"), g.GP64()).(reg.GPVirtual)})
	g.done()
}
