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
	k := tileKernel{gen: g, tile: t}
	k.loadMasks()
	k.loadC()
	k.walk()
	k.storeC()
	g.done()
}

type tileKernel struct {
	*gen
	tile
	masks []reg.OpmaskVirtual // one for each vector of columns, AVX-512 only
	acc   []reg.Register      // [rows][cols]
}

func (k *tileKernel) param(name string) reg.GPVirtual {
	return k.Load(k.Param(name), k.GP64()).(reg.GPVirtual)
}

func (k *tileKernel) loadMasks() {
	if !k.avx512 {
		return
	}
	m := k.Load(k.Param("mask"), k.GP32()).(reg.GPVirtual)
	for j := range k.cols {
		k.masks = append(k.masks, k.K())
		k.KMOVW(m, k.masks[j])
		if j+1 < k.cols {
			k.SHRL(U8(16), m)
		}
	}
}

// loadVector reads vector j of a row.
func (k *tileKernel) loadVector(row Mem, j int, v reg.Register) {
	m := row.Offset(j * k.vectorBytes())
	if k.avx512 {
		k.VMOVUPS_Z(m, k.masks[j], v)
	} else {
		k.VMOVUPS(m, v)
	}
}

// loadC reads the tile of C to extend it, or starts from zero.
func (k *tileKernel) loadC() {
	c := newRowPointers(k.gen, k.param("c"), k.param("ldc"), k.rows)
	for range k.rows * k.cols {
		k.acc = append(k.acc, k.vector(k.gen))
	}
	accumulate := k.Load(k.Param("accumulate"), k.GP8()).(reg.GPVirtual)
	k.TESTB(accumulate, accumulate)
	k.JZ(LabelRef("zero"))
	for i, v := range k.acc {
		k.loadVector(c.at(i/k.cols, 0), i%k.cols, v)
	}
	k.JMP(LabelRef("start"))
	k.Label("zero")
	for _, v := range k.acc {
		if k.avx512 {
			k.VPXORD(v, v, v)
		} else {
			k.VXORPS(v, v, v)
		}
	}
	k.Label("start")
}

// walk adds the products, four steps of k in a turn of the loop.
func (k *tileKernel) walk() {
	a := newRowPointers(k.gen, k.param("a"), k.param("lda"), k.rows)
	b, ldb, left, ahead := k.param("b"), k.param("ldb"), k.param("k"), k.param("ahead")
	row := make([]reg.Register, k.cols)
	for j := range row {
		row[j] = k.vector(k.gen)
	}
	step := func(disp int) {
		for j, v := range row {
			k.loadVector(Mem{Base: b}, j, v)
		}
		for at := 0; at < k.width()*4; at += 64 {
			k.PREFETCHT0(Mem{Base: b, Index: ahead, Scale: 1, Disp: at})
		}
		k.ADDQ(ldb, b)
		for i := range k.rows {
			x := k.vector(k.gen)
			k.VBROADCASTSS(a.at(i, disp), x)
			for j, v := range row {
				k.VFMADD231PS(v, x, k.acc[i*k.cols+j])
			}
		}
	}
	const unroll = 4
	k.SUBQ(U8(unroll), left)
	k.JL(LabelRef("rest"))
	k.Label("loop")
	for u := range unroll {
		step(4 * u)
	}
	a.advance(k.gen, 4*unroll)
	k.SUBQ(U8(unroll), left)
	k.JGE(LabelRef("loop"))
	k.Label("rest")
	k.ADDQ(U8(unroll), left)
	k.JZ(LabelRef("store"))
	k.Label("single")
	step(0)
	a.advance(k.gen, 4)
	k.DECQ(left)
	k.JNZ(LabelRef("single"))
	k.Label("store")
}

func (k *tileKernel) storeC() {
	c := newRowPointers(k.gen, k.param("c"), k.param("ldc"), k.rows)
	for i, v := range k.acc {
		m := c.at(i/k.cols, i%k.cols*k.vectorBytes())
		if k.avx512 {
			k.VMOVUPS(v, k.masks[i%k.cols], m)
		} else {
			k.VMOVUPS(v, m)
		}
	}
}
