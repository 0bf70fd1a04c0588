//go:build amd64 && !purego

package kernels

import "unsafe"

const (
	// kBlock rows of B are used for all rows of A before the next ones: a panel
	// of that many rows moves from the second-level cache to the first without
	// delay, and a tile of C is read and written seldom. C holds the running
	// sums in between, which changes no bits.
	kBlock = 768
	// With two tiles the weights come from memory while they are used: a block
	// is a page, and the tiles prefetch the next one between them (measured;
	// other sizes and distances are slower).
	kBlockTwoTiles = 4096 / panelBytes
	// mBlock rows of A, kBlock wide, stay in the second-level cache while the
	// panels of B are used.
	mBlock = 128
	// streamAhead is how far ahead one tile prefetches weights, which are used
	// once. Tiles of up to streamUnaided rows read two panels at once and are
	// faster without (measured).
	streamAhead   = 4096
	streamUnaided = 3
	// Narrower products walk down B instead, and prefetch that many rows ahead.
	narrow, narrowRows = 128, 32
	// From packRowsFrom rows on GemmNN copies blocks of B into a panel; below
	// that the copy costs more than reading the rows of B in place.
	packRowsFrom = 32
	// copiedBlocks blocks of columns of B are copied at a time: a page of B
	// then has several lines for them, not one.
	copiedBlocks = 4
	// From packAFrom panels on, copying A into tiles pays off.
	packAFrom = 4
)

// packsA reports whether a product with some panels copies A into tiles. With the
// larger tiles of AVX-512 reading A in place was 1 to 5% faster in six of eight
// shapes and 2 to 4% slower in two, and the dense kernels, which need it in place,
// were faster than both in all but the few-row ones, where they tied.
func packsA(panels int) bool { return active == pathAVX2 && panels >= packAFrom }

func gemmPackedArch(c []float32, ldc int, a []float32, lda int, packed []float32, m, n, k, p0, p1 int) bool {
	if active == pathGeneric {
		return false
	}
	g := packedProduct{c: newMatrix(c, ldc), a: newMatrix(a, lda), b: packedColumns(packed, k), n: n, p0: p0, p1: p1, blocks: blocksAtOnce(m)}
	if m <= maxTileRows() {
		g.stream(m, k)
		return true
	}
	s := scratch.Get().(*gemmScratch)
	defer scratch.Put(s)
	rows := evenly(m, mBlock)
	depth := evenly(k, kBlock)
	if tilesOf(rows) == 2 {
		depth = min(k, kBlockTwoTiles)
	}
	outer := max(1, mBlock*kBlock/(rows*depth)) * depth // as many whole blocks as fit
	for i0 := 0; i0 < m; i0 += rows {
		for k0 := 0; k0 < k; k0 += outer {
			g.block(s, i0, min(i0+rows, m), k0, min(k0+outer, k), depth)
		}
	}
	return true
}

// packedProduct is a product with panels p0 to p1 of B.
type packedProduct struct {
	c, a              matrix
	b                 columns
	n, p0, p1, blocks int
}

// cols is the number of columns of the blocks that begin with panel p.
func (g *packedProduct) cols(p int) int {
	return min(min(p+g.blocks, g.p1)*PanelWidth, g.n) - p*PanelWidth
}

// stream is the product with one tile of rows: no part of B is used twice.
func (g *packedProduct) stream(m, k int) {
	b := g.b
	b.aheadStep = panelBytes
	if m > streamUnaided {
		b.ahead = streamAhead
	}
	for p := g.p0; p < g.p1; p += g.blocks {
		gemmTile(g.c.from(0, p*PanelWidth), plainRows(g.a), b.skip(p), m, g.cols(p), k, false)
	}
}

// block is the part of the product for rows i0 to i1 and, in blocks of depth, k0
// to k1. The tiles of a block prefetch the next one between them.
func (g *packedProduct) block(s *gemmScratch, i0, i1, k0, k1, depth int) {
	m := i1 - i0
	tiled := packsA(g.p1 - g.p0)
	for l := k0; tiled && l < k1; l += depth {
		s.packA(g.a.from(i0, l), m, min(depth, k1-l), m*(l-k0))
	}
	for p := g.p0; p < g.p1; p += g.blocks {
		for l := k0; l < k1; l += depth {
			k := min(depth, k1-l)
			a := plainRows(g.a.from(i0, l))
			if tiled {
				a = s.packedRows(m * (l - k0))
			}
			b := g.b.skip(p)
			b.matrix, b.shared = b.from(l, 0), true
			b.ahead = uintptr(k) * panelBytes
			if l+k == k1 {
				b.ahead = uintptr(g.blocks)*b.next - uintptr(l-k0)*panelBytes
			}
			gemmColumns(g.c.from(i0, p*PanelWidth), a, b, m, g.cols(p), k, l > 0)
		}
	}
}

func gemmBlockArch(c []float32, ldc int, a []float32, lda int, panels []float32, panelLen, m, cols, k int, accumulate bool) bool {
	if active == pathGeneric {
		return false
	}
	b := packedColumns(panels, k).inCache()
	b.next = uintptr(panelLen) * floatBytes
	gemmColumns(newMatrix(c, ldc), plainRows(newMatrix(a, lda)), b, m, cols, k, accumulate)
	return true
}

// eachBlock splits the rows of A and, in order, k.
func eachBlock(m, k int, block func(i0, i1, k0, k1 int)) {
	rows, depth := evenly(m, mBlock), evenly(k, kBlock)
	for i0 := 0; i0 < m; i0 += rows {
		for k0 := 0; k0 < k; k0 += depth {
			block(i0, min(i0+rows, m), k0, min(k0+depth, k))
		}
	}
}

// evenly is the size of parts of n of at most limit each, as few as possible.
func evenly(n, limit int) int {
	parts := (n + limit - 1) / limit
	return (n + parts - 1) / parts
}

func gemmNNArch(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int, accumulate bool) bool {
	if active == pathGeneric {
		return false
	}
	cm, am, bm := newMatrix(c, ldc), newMatrix(a, lda), newMatrix(b, ldb)
	if m >= packRowsFrom {
		gemmCopied(cm, am, m, n0, n1, k, accumulate, func(s *gemmScratch, j, cols, k0, k1 int) {
			s.loadPanels(bm.from(k0, j), k1-k0, cols)
		})
		return true
	}
	strip, ahead := stripOf(m)
	alone := n1-n0 <= narrow
	if alone {
		if strip, ahead = k, narrowRows*bm.ld; k > 2*narrowRows {
			strip -= narrowRows
		}
	}
	width := blocksAtOnce(m) * PanelWidth
	for k0 := 0; k0 < k; k0 += strip {
		if alone && k0+strip >= k {
			ahead = 0 // nothing is known of what is after B
		}
		for j := n0; j < n1; j += width {
			b := columns{matrix: bm.from(k0, j), next: panelBytes, ahead: ahead, aheadStep: bm.ld}
			gemmColumns(cm.from(0, j), plainRows(am.from(0, k0)), b, m, min(width, n1-j), min(strip, k-k0), accumulate || k0 > 0)
		}
	}
	return true
}

// stripOf says how GemmNN with few rows reads B: in strips of that many rows,
// along the rows, which makes that many streams, with prefetches that many
// bytes ahead on each (measured).
func stripOf(m int) (rows int, ahead uintptr) {
	switch {
	case m <= 3:
		return 8, 1024
	case m <= 6:
		return 16, 512
	}
	return 128, 256
}

// gemmCopied computes columns n0 to n1 of C; load copies columns j to j+cols of
// the rows k0 to k1 of B into the scratch.
func gemmCopied(c, a matrix, m, n0, n1, k int, accumulate bool, load func(s *gemmScratch, j, cols, k0, k1 int)) {
	s := scratch.Get().(*gemmScratch)
	defer scratch.Put(s)
	eachBlock(m, k, func(i0, i1, k0, k1 int) {
		rows := plainRows(a.from(i0, k0))
		if packsA((n1 - n0) / PanelWidth) {
			s.packA(a.from(i0, k0), i1-i0, k1-k0, 0)
			rows = s.packedRows(0)
		}
		blocks := blocksAtOnce(i1 - i0)
		for j := n0; j < n1; j += copiedBlocks * PanelWidth {
			cols := min(copiedBlocks*PanelWidth, n1-j)
			load(s, j, cols, k0, k1)
			b := packedColumns(s.panels[:], k1-k0).inCache()
			for p := 0; p < Panels(cols); p += blocks {
				at := p * PanelWidth
				gemmColumns(c.from(i0, j+at), rows, b.skip(p), i1-i0, min(blocks*PanelWidth, cols-at), k1-k0, accumulate || k0 > 0)
			}
		}
	})
}

const (
	// From turnRowsFrom rows on GemmNT copies blocks of B^T into a panel. Below
	// that each tile of A's rows transposes B's in registers, from the caches
	// after the first tile.
	turnRowsFrom = 13
	ntRows       = 8
	// ntAhead is the number of rows of B that tiles prefetch ahead.
	ntAhead = 32
)

func gemmNTArch(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int) bool {
	if active == pathGeneric {
		return false
	}
	cm, am, bm := newMatrix(c, ldc), newMatrix(a, lda), newMatrix(b, ldb)
	if m >= turnRowsFrom {
		gemmCopied(cm, am, m, n0, n1, k, false, func(s *gemmScratch, j, cols, k0, k1 int) {
			s.loadTransposed(bm.from(j, k0), k1-k0, cols)
		})
		return true
	}
	rows := evenly(m, ntRows)
	for j := n0; j < n1; {
		width := min(16, n1-j)
		if width < 16 || active == pathAVX2 && rows > 4 {
			width = min(8, width)
		}
		ahead := ntAhead * bm.ld
		if j+ntAhead >= n1 {
			ahead = 0
		}
		for i := 0; i < m; i += rows {
			ntTile(cm.from(i, j), am.from(i, 0), bm.from(j, 0), min(rows, m-i), width, k, ahead)
		}
		j += width
	}
	return true
}

// ntTile takes 16 columns, or up to 8.
func ntTile(c, a, b matrix, rows, cols, k int, ahead uintptr) {
	switch {
	case cols < 16:
		ntTileAVX2(rows, c.at, c.ld, a.at, a.ld, b.at, b.ld, k, cols)
	case active == pathAVX512:
		ntWideAVX512(rows, c.at, c.ld, a.at, a.ld, b.at, b.ld, k, ahead)
	default:
		ntWideAVX2(rows, c.at, c.ld, a.at, a.ld, b.at, b.ld, k, ahead)
	}
}

func packEightArch(panel, b []float32, ld, k int) bool {
	if active == pathGeneric || k == 0 {
		return false
	}
	transposeAVX2(unsafe.SliceData(panel), panelBytes, unsafe.SliceData(b), uintptr(ld)*floatBytes, 8, k)
	return true
}
