package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const gemmSignature = "func(rows int, c *float32, ldc uintptr, a *float32, rowA, stepA uintptr, b *float32, stepB, nextB uintptr, k int, ahead, aheadStep uintptr, accumulate bool%s)"

func gemmKernels(g *gen) {
	gemmFamily(g, "gemmTileAVX2", 1, rowsTo(6, tile{cols: 2}))
	gemmFamily(g, "gemmWideAVX2", 2, rowsTo(3, tile{cols: 4}))
	gemmFamily(g, "gemmTileAVX512", 1, rowsTo(12, tile{cols: 1, avx512: true}))
	gemmFamily(g, "gemmWideAVX512", 2, rowsTo(12, tile{cols: 2, avx512: true}))
	gemmFamily(g, "gemmTileMaskedAVX512", 1, rowsTo(12, tile{cols: 1, avx512: true, masked: true}))
	gemmFamily(g, "gemmWideMaskedAVX512", 2, rowsTo(12, tile{cols: 2, avx512: true, masked: true}))
	gemmFamily(g, "gemmDenseAVX512", 2, rowsTo(12, tile{cols: 2, avx512: true, dense: true}))
}

// rowsTo returns tiles of 1 to n rows.
func rowsTo(n int, t tile) []tile {
	tiles := make([]tile, n)
	for i := range tiles {
		tiles[i] = t
		tiles[i].rows = i + 1
	}
	return tiles
}

// tile is the shape of a micro-kernel: rows by cols vectors.
type tile struct {
	rows, cols int
	avx512     bool
	// masked: of B only the columns of the mask are read. That costs a unit
	// that could multiply.
	masked bool
	// ends: of C, bias and residual only the columns of the mask are read and
	// written; B is read whole.
	ends bool
	// dense: A's columns and the rows of B's panels are adjacent, so the
	// pointers move once per turn of the loop.
	dense bool
}

func (t tile) vector(g *gen) reg.VecVirtual {
	if t.avx512 {
		return g.ZMM()
	}
	return g.YMM()
}

func (t tile) vectorBytes() int {
	if t.avx512 {
		return 64
	}
	return 32
}

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

func (r rowPointers) advance(g *gen, by Op) {
	for _, p := range r.base {
		g.ADDQ(by, p)
	}
}

// gemmFamily is one function with a tile for each number of rows, 1 to
// len(tiles). Distances are in bytes. The AVX-512 functions take a mask of the
// columns that exist: they neither read nor write others of C and, if the tiles
// are masked, of B.
func gemmFamily(g *gen, name string, panels int, tiles []tile) {
	extra := ""
	doc := fmt.Sprintf("%s sets (or with accumulate extends) a tile of C, 1 to %d rows by %d columns, to the product of A's rows and B's columns, k in order. "+
		"A's rows are rowA bytes apart, its columns stepA; B's rows stepB, its blocks of 16 columns nextB. "+
		"A step of k prefetches a line ahead bytes after B, and aheadStep further on each time.", name, len(tiles), 16*panels)
	if tiles[0].avx512 {
		extra, doc = ", mask uint32", doc+" Only the columns of the mask are read and written"+columnsOfB(tiles[0])+"."
	}
	if tiles[0].dense {
		doc += " What is prefetched goes into the second cache, and B itself into the first; stepA is 4, stepB 64."
	}
	g.function(name, fmt.Sprintf(gemmSignature, extra), doc)
	rows := g.Load(g.Param("rows"), g.GP64()).(reg.GPVirtual)
	for i := range tiles[1:] {
		g.CMPQ(rows, U8(i+1))
		g.JE(LabelRef(fmt.Sprintf("rows%d", i+1)))
	}
	for i := range tiles {
		t := tiles[len(tiles)-1-i]
		k := tileKernel{gen: g, tile: t, panels: panels}
		k.Label(k.label("rows"))
		k.loadMasks()
		k.loadC()
		k.walk()
		k.storeC()
		g.done()
	}
}

func columnsOfB(t tile) string {
	if t.masked {
		return ""
	}
	return ", of B all"
}

type tileKernel struct {
	*gen
	tile
	panels int
	masks  []reg.OpmaskVirtual // one for each vector of columns, AVX-512 only
	acc    []reg.VecVirtual    // [rows][cols]
}

func (k *tileKernel) label(name string) string { return fmt.Sprintf("%s%d", name, k.rows) }

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

// loadVector reads vector j of a row of C.
func (k *tileKernel) loadVector(m Mem, j int, v reg.VecVirtual) {
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
	if k.dense { // C has arrived when it is stored
		for i := range k.acc {
			k.PREFETCHT0(c.at(i/k.cols, i%k.cols*k.vectorBytes()))
		}
	}
	accumulate := k.Load(k.Param("accumulate"), k.GP8()).(reg.GPVirtual)
	k.TESTB(accumulate, accumulate)
	k.JZ(LabelRef(k.label("zero")))
	for i, v := range k.acc {
		k.loadVector(c.at(i/k.cols, i%k.cols*k.vectorBytes()), i%k.cols, v)
	}
	k.JMP(LabelRef(k.label("start")))
	k.Label(k.label("zero"))
	for _, v := range k.acc {
		if k.avx512 {
			k.VPXORD(v, v, v)
		} else {
			k.VXORPS(v, v, v)
		}
	}
	k.Label(k.label("start"))
}

// walk adds the products, four steps of k in a turn of the loop.
func (k *tileKernel) walk() {
	o := k.operands()
	left := k.param("k")
	step := func(u int) {
		o.prefetch(u)
		loadB := func(j int) reg.VecVirtual {
			v := k.vector(k.gen)
			if m := o.b(j, u); k.masked {
				k.loadVector(m, j, v)
			} else {
				k.VMOVUPS(m, v)
			}
			return v
		}
		loadA := func(i int) reg.VecVirtual {
			v := k.vector(k.gen)
			k.VBROADCASTSS(o.a(i, u), v)
			return v
		}
		k.products(loadA, loadB)
		o.afterStep()
	}
	const unroll = 4
	k.SUBQ(U8(unroll), left)
	k.JL(LabelRef(k.label("rest")))
	k.Label(k.label("loop"))
	for u := range unroll {
		step(u)
	}
	o.afterTurn(unroll)
	k.SUBQ(U8(unroll), left)
	k.JGE(LabelRef(k.label("loop")))
	k.Label(k.label("rest"))
	k.ADDQ(U8(unroll), left)
	k.JZ(LabelRef(k.label("store")))
	k.Label(k.label("single"))
	step(0)
	o.afterTurn(1)
	k.DECQ(left)
	k.JNZ(LabelRef(k.label("single")))
	k.Label(k.label("store"))
}

// operands are where step u of a turn finds row i of A and vector j of B, and how
// the pointers move.
type operands struct {
	a, b      func(i, u int) Mem
	prefetch  func(u int)
	afterStep func()
	afterTurn func(steps int)
}

// denseNear is how many bytes further on a dense tile prefetches B from the
// second cache into the first.
const denseNear = 1024

func (k *tileKernel) operands() operands {
	b, ahead, aheadStep := k.param("b"), k.param("ahead"), k.param("aheadStep")
	k.ADDQ(b, ahead)
	var nextB reg.GPVirtual
	if k.panels > 1 {
		nextB = k.param("nextB")
	}
	panel := func(base reg.GPVirtual, p, disp int) Mem {
		m := Mem{Base: base, Disp: disp}
		if p > 0 {
			m.Index, m.Scale = nextB, uint8(p)
		}
		return m
	}
	perPanel := k.cols / k.panels
	vectorOfB := func(j, disp int) Mem { return panel(b, j/perPanel, j%perPanel*k.vectorBytes()+disp) }
	a := newRowPointers(k.gen, k.param("a"), k.param("rowA"), k.rows)
	if k.dense {
		return operands{
			a: func(i, u int) Mem { return a.at(i, 4*u) },
			b: func(j, u int) Mem { return vectorOfB(j, 64*u) },
			prefetch: func(u int) {
				for p := range k.panels {
					k.PREFETCHT1(panel(ahead, p, 0))
					k.PREFETCHT0(panel(b, p, 64*u+denseNear))
				}
			},
			afterStep: func() { k.ADDQ(aheadStep, ahead) },
			afterTurn: func(steps int) {
				a.advance(k.gen, U8(4*steps))
				k.ADDQ(U32(64*steps), b)
			},
		}
	}
	stepA, stepB := k.param("stepA"), k.param("stepB")
	return operands{
		a: func(i, _ int) Mem { return a.at(i, 0) },
		b: func(j, _ int) Mem { return vectorOfB(j, 0) },
		prefetch: func(int) {
			for p := range k.panels {
				k.PREFETCHT0(panel(ahead, p, 0))
			}
		},
		afterStep: func() {
			k.ADDQ(aheadStep, ahead)
			k.ADDQ(stepB, b)
			a.advance(k.gen, stepA)
		},
		afterTurn: func(int) {},
	}
}

// products adds one step of k. The operand with fewer vectors is held in
// registers, the other is streamed.
func (k *tileKernel) products(loadA, loadB func(i int) reg.VecVirtual) {
	if k.rows < k.cols {
		held := each(k.rows, loadA)
		for j := range k.cols {
			y := loadB(j)
			for i, x := range held {
				k.VFMADD231PS(y, x, k.acc[i*k.cols+j])
			}
		}
		return
	}
	held := each(k.cols, loadB)
	for i := range k.rows {
		x := loadA(i)
		for j, y := range held {
			k.VFMADD231PS(y, x, k.acc[i*k.cols+j])
		}
	}
}

func each(n int, f func(i int) reg.VecVirtual) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = f(i)
	}
	return v
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
