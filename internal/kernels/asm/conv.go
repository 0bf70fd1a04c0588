package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	convSignature = "func(rows int, c *float32, ldc uintptr, table *int, tiles int, x, edge, b *float32%s, segments, length int, bias, residual *float32, relu bool%s)"
	// convAhead is how many bytes ahead the panel is prefetched. The address
	// need not exist.
	convAhead = 2048
)

func convKernels(g *gen) {
	const (
		product      = "relu(A x b + bias + residual), k in order. A is given by its segments, b is a panel of 16 columns"
		depthwise    = "relu(sum over the segments of x*b, channel by channel, + bias + residual); b has 16 channels, the length is not used"
		further      = ", further ones are nextB bytes apart"
		ofTheMask    = ", and what the mask does not have is neither read nor written"
		ofTheColumns = ", and columns of C that the mask does not have are neither read nor written"
		sixtyFour    = "depthwiseWideTilesAVX512"
		thirtyTwo    = "depthwisePairTilesAVX512"
		sixteen      = "depthwiseTilesAVX512"
		productPair  = "convPairTilesAVX512"
	)
	convFamily(g, "convTilesAVX2", 6, tile{cols: 2}, convTile, product)
	convFamily(g, "convTilesAVX512", 12, tile{cols: 1, avx512: true, ends: true}, convTile, product+further+ofTheColumns)
	convFamily(g, productPair, 12, tile{cols: 2, avx512: true, ends: true}, convTile, product+further+ofTheColumns+"; there are two")
	convFamily(g, "depthwiseTilesAVX2", 4, tile{cols: 2}, depthwiseTile, depthwise)
	convFamily(g, "depthwiseHalfTilesAVX2", 4, tile{cols: 1}, depthwiseTile, depthwise+", 8 channels are computed")
	convFamily(g, sixteen, 4, tile{cols: 1, avx512: true, masked: true}, depthwiseTile, depthwise+further+ofTheMask)
	convFamily(g, thirtyTwo, 4, tile{cols: 2, avx512: true, masked: true}, depthwiseTile, depthwise+further+ofTheMask+"; there are two")
	convFamily(g, sixtyFour, 4, tile{cols: 4, avx512: true, masked: true}, depthwiseTile, depthwise+further+ofTheMask+"; there are four")
}

// convFamily is one function with a tile for each number of rows.
func convFamily(g *gen, name string, maxRows int, t tile, emit func(*convKernel), doc string) {
	nextB, mask := "", ""
	if t.avx512 {
		nextB = ", nextB uintptr"
	}
	if t.masked || t.ends {
		mask = ", mask uint64"
	}
	g.function(name, fmt.Sprintf(convSignature, nextB, mask), fmt.Sprintf("%s computes consecutive tiles of 1 to %d rows of %s.", name, maxRows, doc))
	stack := g.AllocLocal(8)
	rows := g.Load(g.Param("rows"), g.GP64()).(reg.GPVirtual)
	for i := 1; i < maxRows; i++ {
		g.CMPQ(rows, U8(i))
		g.JE(LabelRef(fmt.Sprintf("rows%d", i)))
	}
	for _, t := range slices.Backward(rowsTo(maxRows, t)) {
		emit(newConvKernel(g, t, stack))
		g.done()
	}
}

// convKernel keeps a tile of the output in registers. Row i of it reads its
// input through the table, [segment][row]: the distance of a segment from x in
// bytes or, where negative, from edge.
type convKernel struct {
	*gen
	tile
	acc     []reg.VecVirtual    // [rows][cols]
	masks   []reg.OpmaskVirtual // of the columns, masked tiles only
	segment []reg.GPVirtual     // of each row
	b       reg.GPVirtual
	x, edge Op // where there are few rows in registers
	left    Mem
}

func (k *convKernel) param(name string) reg.GPVirtual {
	return k.Load(k.Param(name), k.GP64()).(reg.GPVirtual)
}

func (k *convKernel) label(name string) string { return fmt.Sprintf("%s%d", name, k.rows) }

// slot is an argument in the caller's frame.
func (k *convKernel) slot(name string) Mem {
	arg, err := k.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return arg.Addr
}

// convRowsInRegisters is the number of rows up to which all operands of a
// kernel fit in registers.
const convRowsInRegisters = 6

func newConvKernel(g *gen, t tile, left Mem) *convKernel {
	k := &convKernel{gen: g, tile: t, left: left}
	k.Label(k.label("rows"))
	k.b, k.x, k.edge = g.GP64(), k.slot("x"), k.slot("edge")
	if t.rows <= convRowsInRegisters {
		k.x, k.edge = k.param("x"), k.param("edge")
	}
	for range t.rows {
		k.segment = append(k.segment, g.GP64())
	}
	for range t.rows * t.cols {
		k.acc = append(k.acc, t.vector(g))
	}
	if t.masked || t.ends {
		m := k.param("mask")
		for j := range t.cols {
			k.masks = append(k.masks, k.K())
			k.KMOVW(m.As32(), k.masks[j])
			k.SHRQ(U8(16), m)
		}
	}
	return k
}

// load reads vector j of a row of the panels or of x, as far as it exists.
func (k *convKernel) load(m Mem, j int) reg.VecVirtual { return k.loadPart(m, j, k.masked) }

// loadPart reads vector j, or what the mask has of it.
func (k *convKernel) loadPart(m Mem, j int, masked bool) reg.VecVirtual {
	v := k.vector(k.gen)
	if masked {
		k.VMOVUPS_Z(m, k.masks[j], v)
	} else {
		k.VMOVUPS(m, v)
	}
	return v
}

func (k *convKernel) clear(v reg.VecVirtual) {
	if k.avx512 {
		k.VPXORD(v, v, v)
	} else {
		k.VXORPS(v, v, v)
	}
}

// panels addresses vector j of the panels' rows, disp bytes further on: 32-byte
// halves of one, or panels nextB apart.
func (k *convKernel) panels() func(j, disp int) Mem {
	if !k.avx512 {
		return func(j, disp int) Mem { return Mem{Base: k.b, Disp: 32*j + disp} }
	}
	if k.cols == 1 {
		return func(_, disp int) Mem { return Mem{Base: k.b, Disp: disp} }
	}
	all := newRowPointers(k.gen, k.b, k.param("nextB"), k.cols)
	return all.at
}

// eachTile runs body for each segment of each tile and stores the tiles.
func (k *convKernel) eachTile(body func()) {
	k.Label(k.label("tile"))
	for _, v := range k.acc {
		k.clear(v)
	}
	segments := k.param("segments")
	k.MOVQ(segments, k.left)
	k.MOVQ(k.slot("b"), k.b)
	k.Label(k.label("segment"))
	table, base := k.param("table"), k.GP64()
	for i, p := range k.segment {
		k.MOVQ(Mem{Base: table, Disp: 8 * i}, p)
		k.MOVQ(k.x, base)
		k.TESTQ(p, p)
		k.CMOVQLT(k.edge, base)
		k.ADDQ(base, p)
	}
	k.ADDQ(U8(8*k.rows), k.slot("table"))
	body()
	k.DECQ(k.left)
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
		v := k.loadPart(Mem{Base: bias, Disp: k.vectorBytes() * j}, j, k.masked || k.ends)
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
			k.addResidual(Mem{Base: residual, Disp: k.vectorBytes() * j}, j, k.acc[i*k.cols+j])
		}
		k.ADDQ(ldc, residual)
	}
	k.MOVQ(residual, k.slot("residual"))
	k.Label(k.label("complete"))
	relu, zero := k.Load(k.Param("relu"), k.GP8()).(reg.GPVirtual), k.vector(k.gen)
	k.TESTB(relu, relu)
	k.JZ(LabelRef(k.label("store")))
	k.clear(zero)
	for _, v := range k.acc {
		k.VMAXPS(v, zero, v) // NaN stays NaN, -0 stays -0
	}
	k.Label(k.label("store"))
	c := k.param("c")
	for i := range k.rows {
		for j := range k.cols {
			if m := (Mem{Base: c, Disp: k.vectorBytes() * j}); k.masked || k.ends {
				k.VMOVUPS(k.acc[i*k.cols+j], k.masks[j], m)
			} else {
				k.VMOVUPS(k.acc[i*k.cols+j], m)
			}
		}
		k.ADDQ(ldc, c)
	}
	k.MOVQ(c, k.slot("c"))
}

func (k *convKernel) addResidual(m Mem, j int, v reg.VecVirtual) {
	if k.masked || k.ends {
		k.VADDPS(m, v, k.masks[j], v)
	} else {
		k.VADDPS(m, v, v)
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
	const unroll = 4
	k.eachTile(func() {
		panel := k.panels()
		at := k.param("length")
		k.SHLQ(U8(2), at)
		k.NEGQ(at)
		step := func(u, disp int) {
			row := each(k.cols, func(j int) reg.VecVirtual { return k.load(panel(j, 64*u), j) })
			for j := 0; j < k.cols*k.vectorBytes(); j += 64 {
				k.PREFETCHT0(panel(j/k.vectorBytes(), 64*u+convAhead))
			}
			for i, p := range k.segment {
				x := k.vector(k.gen)
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
		panel := k.panels()
		for j := range k.cols {
			w := k.load(panel(j, 0), j) // the last panels need not exist
			for i, p := range k.segment {
				if m := (Mem{Base: p, Disp: k.vectorBytes() * j}); k.masked {
					k.VFMADD231PS(m, w, k.masks[j], k.acc[i*k.cols+j])
				} else {
					k.VFMADD231PS(m, w, k.acc[i*k.cols+j])
				}
			}
		}
		k.ADDQ(U8(64), k.b)
	})
}
