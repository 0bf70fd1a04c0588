package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const gemmSignature = "func(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, ldb uintptr, k int, ahead uintptr, accumulate bool%s)"

func gemmKernels(g *gen) {
	for rows := 1; rows <= 12; rows++ {
		gemmTile(g, tile{rows: rows, cols: 2, avx512: true})
	}
	for rows := 1; rows <= 2; rows++ {
		gemmTile(g, tile{rows: rows, cols: 4})
	}
	for rows := 1; rows <= 6; rows++ {
		gemmTile(g, tile{rows: rows, cols: 2})
	}
}

// tile is the shape of a micro-kernel: rows by cols vectors.
type tile struct {
	rows, cols int
	avx512     bool
}

func (t tile) width() int {
	if t.avx512 {
		return 16 * t.cols
	}
	return 8 * t.cols
}

func (t tile) name() string {
	if t.avx512 {
		return fmt.Sprintf("gemm%dx%dAVX512", t.rows, t.width())
	}
	return fmt.Sprintf("gemm%dx%dAVX2", t.rows, t.width())
}

func (t tile) vector(g *gen) reg.Register {
	if t.avx512 {
		return g.ZMM()
	}
	return g.YMM()
}

func (t tile) vectorBytes() int { return 4 * t.width() / t.cols }

// rowPointers addresses rows with one pointer for three of them:
// p, p+ld, p+2*ld.
type rowPointers struct {
	base []reg.GPVirtual
	ld   reg.GPVirtual
}

func newRowPointers(g *gen, first, ld reg.GPVirtual, rows int) rowPointers {
	r := rowPointers{base: []reg.GPVirtual{first}, ld: ld}
	for i := 3; i < rows; i += 3 {
		next := g.GP64()
		g.LEAQ(Mem{Base: r.base[len(r.base)-1], Index: ld, Scale: 2}, next)
		g.ADDQ(ld, next)
		r.base = append(r.base, next)
	}
	return r
}

func (r rowPointers) at(row, disp int) Mem {
	m := Mem{Base: r.base[row/3], Disp: disp}
	if row%3 > 0 {
		m.Index, m.Scale = r.ld, uint8(row%3)
	}
	return m
}

func (r rowPointers) advance(g *gen, bytes int) {
	for _, p := range r.base {
		g.ADDQ(Imm(uint64(bytes)), p)
	}
}

// gemmTile keeps a tile of C in registers and walks k in order. Leading
// dimensions are in bytes. The AVX-512 kernels take a mask of the columns that
// exist; they neither read nor write the others.
func gemmTile(g *gen, t tile) {
	extra, doc := "", "%s sets (or with accumulate extends) a tile of C to the product of A's rows and B's columns, k in order. Leading dimensions are in bytes. B is prefetched ahead bytes further on."
	if t.avx512 {
		extra, doc = ", mask uint32", doc+" Only the columns of the mask are read and written."
	}
	g.function(t.name(), fmt.Sprintf(gemmSignature, extra), fmt.Sprintf(doc, t.name()))

	param := func(name string) reg.GPVirtual { return g.Load(g.Param(name), g.GP64()).(reg.GPVirtual) }
	cols := t.cols
	masks := make([]reg.Register, cols)
	if t.avx512 {
		m := g.Load(g.Param("mask"), g.GP32()).(reg.GPVirtual)
		for j := range masks {
			masks[j] = g.K()
			g.KMOVW(m, masks[j].(reg.OpmaskVirtual))
			if j+1 < cols {
				g.SHRL(U8(16), m)
			}
		}
	}
	load := func(m Mem, j int, v reg.Register) {
		if t.avx512 {
			g.VMOVUPS_Z(m, masks[j], v)
		} else {
			g.VMOVUPS(m, v)
		}
	}

	ldc := param("ldc")
	c := newRowPointers(g, param("c"), ldc, t.rows)
	acc := make([]reg.Register, t.rows*cols)
	for i := range acc {
		acc[i] = t.vector(g)
	}
	accumulate := g.Load(g.Param("accumulate"), g.GP8()).(reg.GPVirtual)
	g.TESTB(accumulate, accumulate)
	g.JZ(LabelRef("zero"))
	for i := range acc {
		load(c.at(i/cols, i%cols*t.vectorBytes()), i%cols, acc[i])
	}
	g.JMP(LabelRef("start"))
	g.Label("zero")
	for i := range acc {
		if t.avx512 {
			g.VPXORD(acc[i], acc[i], acc[i])
		} else {
			g.VXORPS(acc[i], acc[i], acc[i])
		}
	}
	g.Label("start")

	a := newRowPointers(g, param("a"), param("lda"), t.rows)
	b, ldb, k, ahead := param("b"), param("ldb"), param("k"), param("ahead")
	bv := make([]reg.Register, cols)
	for j := range bv {
		bv[j] = t.vector(g)
	}
	step := func(disp int) {
		for j := range bv {
			load(Mem{Base: b, Disp: j * t.vectorBytes()}, j, bv[j])
		}
		for at := 0; at < t.width()*4; at += 64 {
			g.PREFETCHT0(Mem{Base: b, Index: ahead, Scale: 1, Disp: at})
		}
		g.ADDQ(ldb, b)
		for i := range t.rows {
			x := t.vector(g)
			g.VBROADCASTSS(a.at(i, disp), x)
			for j := range bv {
				g.VFMADD231PS(bv[j], x, acc[i*cols+j])
			}
		}
	}
	const unroll = 4
	g.SUBQ(U8(unroll), k)
	g.JL(LabelRef("rest"))
	g.Label("loop")
	for u := range unroll {
		step(4 * u)
	}
	a.advance(g, 4*unroll)
	g.SUBQ(U8(unroll), k)
	g.JGE(LabelRef("loop"))
	g.Label("rest")
	g.ADDQ(U8(unroll), k)
	g.JZ(LabelRef("store"))
	g.Label("single")
	step(0)
	a.advance(g, 4)
	g.DECQ(k)
	g.JNZ(LabelRef("single"))

	g.Label("store")
	c = newRowPointers(g, param("c"), ldc, t.rows)
	for i := range acc {
		m := c.at(i/cols, i%cols*t.vectorBytes())
		if t.avx512 {
			g.VMOVUPS(acc[i], masks[i%cols], m)
		} else {
			g.VMOVUPS(acc[i], m)
		}
	}
	g.done()
}
