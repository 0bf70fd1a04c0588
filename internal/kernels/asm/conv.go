package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	convSignature = "func(rows int, c *float32, ldc uintptr, table *int, tiles int, x, edge, b *float32, segments, length int, bias, residual *float32, relu bool)"
	// convAhead is how many bytes further on the panel is prefetched. What is
	// there need not exist.
	convAhead = 2048
)

func convKernels(g *gen) {
	convFamily(g, "convTilesAVX2", 6, 2, convTile,
		"relu(A x b + bias + residual), k in order. A is given by its segments, b is a panel of 16 columns")
	const depthwise = "relu(sum over the segments of x*b, channel by channel, + bias + residual); b has 16 channels, the length is not used"
	convFamily(g, "depthwiseTilesAVX2", 4, 2, depthwiseTile, depthwise)
	convFamily(g, "depthwiseHalfTilesAVX2", 4, 1, depthwiseTile, depthwise+", 8 channels are computed")
}

// convFamily is one function with a tile for each number of rows.
func convFamily(g *gen, name string, maxRows, cols int, emit func(*convKernel), doc string) {
	g.function(name, convSignature, fmt.Sprintf("%s computes consecutive tiles of 1 to %d rows of %s.", name, maxRows, doc))
	rows := g.Load(g.Param("rows"), g.GP64()).(reg.GPVirtual)
	for i := 1; i < maxRows; i++ {
		g.CMPQ(rows, U8(i))
		g.JE(LabelRef(fmt.Sprintf("rows%d", i)))
	}
	for i := maxRows; i > 0; i-- {
		k := newConvKernel(g, tile{rows: i, cols: cols})
		emit(k)
		g.done()
	}
}

// convKernel keeps a tile of the output in registers. Row i of it reads its
// input through the table, [segment][row]: the distance of a segment from x in
// bytes or, where negative, from edge.
type convKernel struct {
	*gen
	tile
	acc         []reg.VecVirtual // [rows][cols]
	segment     []reg.GPVirtual  // of each row
	c, table, b reg.GPVirtual
	x, edge     reg.GPVirtual
}

func (k *convKernel) param(name string) reg.GPVirtual {
	return k.Load(k.Param(name), k.GP64()).(reg.GPVirtual)
}

func (k *convKernel) label(name string) string { return fmt.Sprintf("%s%d", name, k.rows) }

// slot is an argument where the caller put it.
func (k *convKernel) slot(name string) Mem {
	arg, err := k.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return arg.Addr
}

func newConvKernel(g *gen, t tile) *convKernel {
	k := &convKernel{gen: g, tile: t}
	k.Label(k.label("rows"))
	k.c, k.table, k.x, k.edge, k.b = k.param("c"), k.param("table"), k.param("x"), k.param("edge"), g.GP64()
	for range t.rows {
		k.segment = append(k.segment, g.GP64())
	}
	for range t.rows * t.cols {
		k.acc = append(k.acc, g.YMM())
	}
	return k
}

// eachTile runs body for each segment of each tile and stores the tiles.
func (k *convKernel) eachTile(body func()) {
	k.Label(k.label("tile"))
	for _, v := range k.acc {
		k.VXORPS(v, v, v)
	}
	k.MOVQ(k.slot("b"), k.b)
	left := k.param("segments")
	k.Label(k.label("segment"))
	for i, p := range k.segment {
		base := k.GP64()
		k.MOVQ(Mem{Base: k.table, Disp: 8 * i}, p)
		k.MOVQ(k.x, base)
		k.TESTQ(p, p)
		k.CMOVQLT(k.edge, base)
		k.ADDQ(base, p)
	}
	k.ADDQ(U8(8*k.rows), k.table)
	body()
	k.DECQ(left)
	k.JNZ(LabelRef(k.label("segment")))
	k.finish()
	k.DECQ(k.slot("tiles"))
	k.JNZ(LabelRef(k.label("tile")))
}

// finish adds bias and residual, applies relu and stores the tile.
func (k *convKernel) finish() {
	bias := k.param("bias")
	k.TESTQ(bias, bias)
	k.JZ(LabelRef(k.label("biased")))
	for j := range k.cols {
		v := k.YMM()
		k.VMOVUPS(Mem{Base: bias, Disp: 32 * j}, v)
		for i := range k.rows {
			k.VADDPS(v, k.acc[i*k.cols+j], k.acc[i*k.cols+j])
		}
	}
	k.Label(k.label("biased"))
	ldc, residual := k.param("ldc"), k.param("residual")
	k.TESTQ(residual, residual)
	k.JZ(LabelRef(k.label("complete")))
	for i := range k.rows {
		for j := range k.cols {
			k.VADDPS(Mem{Base: residual, Disp: 32 * j}, k.acc[i*k.cols+j], k.acc[i*k.cols+j])
		}
		k.ADDQ(ldc, residual)
	}
	k.MOVQ(residual, k.slot("residual"))
	k.Label(k.label("complete"))
	relu, zero := k.Load(k.Param("relu"), k.GP8()).(reg.GPVirtual), k.YMM()
	k.TESTB(relu, relu)
	k.JZ(LabelRef(k.label("store")))
	k.VXORPS(zero, zero, zero)
	for _, v := range k.acc {
		k.VMAXPS(v, zero, v) // NaN stays NaN, -0 stays -0
	}
	k.Label(k.label("store"))
	for i := range k.rows {
		for j := range k.cols {
			k.VMOVUPS(k.acc[i*k.cols+j], Mem{Base: k.c, Disp: 32 * j})
		}
		k.ADDQ(ldc, k.c)
	}
}

// convTile is the micro-kernel of an indirect matrix product: the rows of A are
// the segments of the table, length elements each, one after the other.
func convTile(k *convKernel) {
	// Rows are addressed from the ends of their segments.
	bytes := k.param("length")
	k.SHLQ(U8(2), bytes)
	k.ADDQ(bytes, k.x)
	k.ADDQ(bytes, k.edge)
	row, x := []reg.VecVirtual{k.YMM(), k.YMM()}, k.YMM()
	const unroll = 4
	k.eachTile(func() {
		at := k.param("length")
		k.SHLQ(U8(2), at)
		k.NEGQ(at)
		step := func(u, disp int) {
			for j, v := range row {
				k.VMOVUPS(Mem{Base: k.b, Disp: 64*u + 32*j}, v)
			}
			k.PREFETCHT0(Mem{Base: k.b, Disp: 64*u + convAhead})
			for i, p := range k.segment {
				k.VBROADCASTSS(Mem{Base: p, Index: at, Scale: 1, Disp: disp}, x)
				for j, v := range row {
					k.VFMADD231PS(v, x, k.acc[i*k.cols+j])
				}
			}
		}
		k.ADDQ(U8(4*unroll), at)
		k.JG(LabelRef(k.label("rest")))
		k.Label(k.label("loop"))
		for u := range unroll {
			step(u, 4*u-4*unroll)
		}
		k.ADDQ(U32(64*unroll), k.b)
		k.ADDQ(U8(4*unroll), at)
		k.JLE(LabelRef(k.label("loop")))
		k.Label(k.label("rest"))
		k.SUBQ(U8(4*unroll), at)
		k.JGE(LabelRef(k.label("next")))
		k.Label(k.label("single"))
		step(0, 0)
		k.ADDQ(U8(64), k.b)
		k.ADDQ(U8(4), at)
		k.JL(LabelRef(k.label("single")))
		k.Label(k.label("next"))
	})
}

// depthwiseTile multiplies each channel with its own filter: a segment is one
// tap of the window.
func depthwiseTile(k *convKernel) {
	k.eachTile(func() {
		for j := range k.cols {
			w := k.YMM()
			k.VMOVUPS(Mem{Base: k.b, Disp: 32 * j}, w)
			for i, p := range k.segment {
				k.VFMADD231PS(Mem{Base: p, Disp: 32 * j}, w, k.acc[i*k.cols+j])
			}
		}
		k.ADDQ(U8(64), k.b)
	})
}
