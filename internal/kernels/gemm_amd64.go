//go:build amd64 && !purego

package kernels

const (
	// kBlock rows of B are used for all rows of A before the next ones: a panel
	// of so many rows and a tile of A stay in the first cache. C holds the running
	// sums in between, which changes no bits.
	kBlock = 384
	// mBlock rows of A, kBlock wide, stay in the second cache while the panels
	// of B go by.
	mBlock = 192
	// streamAhead is how far ahead weights are prefetched that are used once: the
	// distance at which the loads find their data in the first cache (measured).
	streamAhead = 4096
	// GemmNN with few rows goes through B in strips of stripRows rows, along the
	// rows: as many streams, which have a page each.
	stripRows  = 32
	stripAhead = 1024
	// Narrower products go down B instead.
	narrow = 128
	// From packRowsFrom rows on GemmNN copies blocks of B into a panel; below
	// that the copy costs more than walking the rows of B in place.
	packRowsFrom = 32
	// packAFrom panels make it worth while to copy A into tiles.
	packAFrom = 4
)

func gemmPackedArch(c []float32, ldc int, a []float32, lda int, packed []float32, m, n, k, p0, p1 int) bool {
	if active == pathGeneric {
		return false
	}
	cm, am, bm := newMatrix(c, ldc), newMatrix(a, lda), packedColumns(packed, k)
	blocks := blocksAtOnce(m)
	each := func(a rowsOfA, i0, i1, k0, k1 int) {
		for p := p0; p < p1; p += blocks {
			j := p * PanelWidth
			b := bm.skip(p)
			b.matrix = b.from(k0, 0)
			gemmColumns(cm.from(i0, j), a, b, i1-i0, min(blocks*PanelWidth, p1*PanelWidth-j, n-j), k1-k0, k0 > 0)
		}
	}
	if m <= maxTileRows() { // one tile: nothing of B is used twice
		bm.ahead, bm.aheadStep = streamAhead, panelBytes
		each(plainRows(am), 0, m, 0, k)
		return true
	}
	bm.shared, bm.ahead = true, uintptr(blocks)*bm.next
	s := scratch.Get().(*gemmScratch)
	defer scratch.Put(s)
	eachBlock(m, k, func(i0, i1, k0, k1 int) {
		a := am.from(i0, k0)
		if p1-p0 < packAFrom {
			each(plainRows(a), i0, i1, k0, k1)
		} else {
			each(s.packA(a, i1-i0, k1-k0), i0, i1, k0, k1)
		}
	})
	return true
}

func gemmBlockArch(c []float32, ldc int, a []float32, lda int, panel []float32, m, cols, k int, accumulate bool) bool {
	if active == pathGeneric {
		return false
	}
	gemmColumns(newMatrix(c, ldc), plainRows(newMatrix(a, lda)), packedColumns(panel, k), m, cols, k, accumulate)
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

func gemmNNArch(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int) bool {
	if active == pathGeneric {
		return false
	}
	cm, am, bm := newMatrix(c, ldc), newMatrix(a, lda), newMatrix(b, ldb)
	if m >= packRowsFrom {
		gemmCopied(cm, am, m, n0, n1, k, func(s *gemmScratch, j, cols, k0, k1 int) {
			s.loadPanel(bm.from(k0, j), k1-k0, cols)
		})
		return true
	}
	strip, ahead := stripRows, uintptr(stripAhead)
	if n1-n0 <= narrow {
		strip, ahead = k, 8*bm.ld
	}
	width := blocksAtOnce(m) * PanelWidth
	for k0 := 0; k0 < k; k0 += strip {
		for j := n0; j < n1; j += width {
			b := columns{matrix: bm.from(k0, j), next: panelBytes, ahead: ahead, aheadStep: bm.ld}
			gemmColumns(cm.from(0, j), plainRows(am.from(0, k0)), b, m, min(width, n1-j), min(strip, k-k0), k0 > 0)
		}
	}
	return true
}

// gemmCopied computes columns n0 to n1 of C; load copies columns j to j+cols of
// the rows k0 to k1 of B into the scratch.
func gemmCopied(c, a matrix, m, n0, n1, k int, load func(s *gemmScratch, j, cols, k0, k1 int)) {
	s := scratch.Get().(*gemmScratch)
	defer scratch.Put(s)
	eachBlock(m, k, func(i0, i1, k0, k1 int) {
		rows := plainRows(a.from(i0, k0))
		if n1-n0 >= packAFrom*PanelWidth {
			rows = s.packA(a.from(i0, k0), i1-i0, k1-k0)
		}
		for j := n0; j < n1; j += PanelWidth {
			cols := min(PanelWidth, n1-j)
			load(s, j, cols, k0, k1)
			gemmColumns(c.from(i0, j), rows, packedColumns(s.panel[:], k1-k0), i1-i0, cols, k1-k0, k0 > 0)
		}
	})
}

// turnRowsFrom rows on GemmNT copies blocks of B^T into a panel.
const turnRowsFrom = 9

func gemmNTArch(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int) bool {
	if active == pathGeneric {
		return false
	}
	cm, am, bm := newMatrix(c, ldc), newMatrix(a, lda), newMatrix(b, ldb)
	if m >= turnRowsFrom {
		gemmCopied(cm, am, m, n0, n1, k, func(s *gemmScratch, j, cols, k0, k1 int) {
			s.loadTransposed(bm.from(j, k0), k1-k0, cols)
		})
		return true
	}
	for j := n0; j < n1; {
		c, b := cm.from(0, j), bm.from(j, 0)
		switch {
		case n1-j >= 16 && active == pathAVX512:
			ntWideAVX512(m, c.at, c.ld, am.at, am.ld, b.at, b.ld, k)
			j += 16
		case n1-j >= 16 && m <= 4:
			ntWideAVX2(m, c.at, c.ld, am.at, am.ld, b.at, b.ld, k)
			j += 16
		default:
			ntTileAVX2(m, c.at, c.ld, am.at, am.ld, b.at, b.ld, k, min(8, n1-j))
			j += 8
		}
	}
	return true
}
