//go:build amd64 && !purego

package kernels

import (
	"sync"
	"unsafe"
)

const (
	floatBytes = 4
	panelBytes = PanelWidth * floatBytes // of one row of a panel
	// kBlock rows of B are used for all rows of A before the next ones: a panel
	// of so many rows and a tile of A stay in the first two caches. C holds the
	// running sums in between, which changes no bits.
	kBlock = 512
	// mBlock rows of A, kBlock wide, stay in the second cache while the panels
	// of B go by.
	mBlock = 480
	// Packed B is one stream. The distance is that at which the loads of the
	// fastest kernels find their data in the first cache (measured).
	packedAhead        = 8192
	packedAheadFewRows = 4096
	// GemmNN with few rows goes through B in strips of stripRows rows, along the
	// rows: as many streams, which have a page each.
	stripRows  = 32
	stripAhead = 1024
	// Narrower products go down B instead.
	narrow = 128
	// From packRowsFrom rows on GemmNN copies blocks of B into a panel; below
	// that the copy costs more than walking the rows of B in place.
	packRowsFrom = 32
)

// matrix is a checked float32 matrix: its first element and the distance of its
// rows in bytes.
type matrix struct {
	at *float32
	ld uintptr
}

func newMatrix(s []float32, ld int) matrix {
	return matrix{at: unsafe.SliceData(s), ld: uintptr(ld) * floatBytes}
}

// from returns the part of the matrix that starts at an element which exists.
func (x matrix) from(row, col int) matrix {
	x.at = (*float32)(unsafe.Add(unsafe.Pointer(x.at), row*int(x.ld)+col*floatBytes))
	return x
}

// columns are some columns of B, in blocks of 16.
type columns struct {
	matrix
	next uintptr // from one block to the next, in bytes
	// ahead is how many bytes further on to prefetch. What is there need not
	// exist.
	ahead  uintptr
	padded bool // the last block can be read to its full width
}

// skip leaves out n blocks; more blocks follow.
func (b columns) skip(n int) columns {
	b.at = (*float32)(unsafe.Add(unsafe.Pointer(b.at), uintptr(n)*b.next))
	return b
}

func packedColumns(packed []float32, k int) columns {
	return columns{matrix: newMatrix(packed, PanelWidth), next: uintptr(k) * panelBytes, padded: true}
}

func gemmPackedArch(c []float32, ldc int, a []float32, lda int, packed []float32, m, n, k, p0, p1 int) bool {
	if active == pathGeneric {
		return false
	}
	cm, am, bm := newMatrix(c, ldc), newMatrix(a, lda), packedColumns(packed, k)
	bm.ahead = packedAhead
	if m <= 4 {
		bm.ahead = packedAheadFewRows
	}
	blocks := blocksAtOnce(m)
	eachBlock(m, k, func(i0, i1, k0, k1 int) {
		for p := p0; p < p1; p += blocks {
			j := p * PanelWidth
			b := bm.skip(p)
			b.matrix = b.from(k0, 0)
			gemmColumns(cm.from(i0, j), am.from(i0, k0), b, i1-i0, min(blocks*PanelWidth, p1*PanelWidth-j, n-j), k1-k0, k0 > 0)
		}
	})
	return true
}

func gemmBlockArch(c []float32, ldc int, a []float32, lda int, panel []float32, m, cols, k int, accumulate bool) bool {
	if active == pathGeneric {
		return false
	}
	gemmColumns(newMatrix(c, ldc), newMatrix(a, lda), packedColumns(panel, k), m, cols, k, accumulate)
	return true
}

// eachBlock splits the rows of A and, in order, k.
func eachBlock(m, k int, block func(i0, i1, k0, k1 int)) {
	step := kBlock
	if m <= maxTileRows() {
		step = k // one tile: nothing of B is used twice
	}
	for k0 := 0; k0 < k; k0 += step {
		for i0 := 0; i0 < m; i0 += mBlock {
			block(i0, min(i0+mBlock, m), k0, min(k0+step, k))
		}
	}
}

func maxTileRows() int {
	if active == pathAVX512 {
		return 12
	}
	return 6
}

// blocksAtOnce is the number of blocks of columns that a tile takes.
func blocksAtOnce(rows int) int {
	if active == pathAVX512 || rows <= 3 {
		return 2
	}
	return 1
}

// gemmColumns computes (or extends) blocks of columns of C, all of its m rows.
func gemmColumns(c, a matrix, b columns, m, cols, k int, accumulate bool) {
	// As few tiles as possible, their heights as even as possible.
	tiles := (m + maxTileRows() - 1) / maxTileRows()
	for t, i := 0, 0; t < tiles; t++ {
		rows := (m - i) / (tiles - t)
		gemmTile(c.from(i, 0), a.from(i, 0), b, rows, cols, k, accumulate)
		i += rows
	}
}

func gemmTile(c, a matrix, b columns, rows, cols, k int, accumulate bool) {
	for {
		width := min(cols, blocksAtOnce(rows)*PanelWidth)
		if active == pathAVX512 {
			gemmTileMasked(c, a, b, rows, width, k, accumulate)
		} else {
			width = gemmTileWhole(c, a, b, rows, width, k, accumulate)
		}
		if cols -= width; cols == 0 {
			return
		}
		c, b = c.from(0, width), b.skip(width/PanelWidth)
	}
}

func gemmTileMasked(c, a matrix, b columns, rows, cols, k int, accumulate bool) {
	mask := uint32(1<<uint(cols) - 1)
	if cols > PanelWidth {
		gemmWideAVX512(rows, c.at, c.ld, a.at, a.ld, floatBytes, b.at, b.ld, b.next, k, b.ahead, b.ld, accumulate, mask)
	} else {
		gemmTileAVX512(rows, c.at, c.ld, a.at, a.ld, floatBytes, b.at, b.ld, b.next, k, b.ahead, b.ld, accumulate, mask)
	}
}

// gemmTileWhole computes a tile and returns how many columns it had, at most
// cols. The micro-kernels read and write whole blocks, so a part of one goes
// through copies of B's rows and of C; the sums are the same.
func gemmTileWhole(c, a matrix, b columns, rows, cols, k int, accumulate bool) int {
	switch {
	case cols == 2*PanelWidth:
		gemmWideAVX2(rows, c.at, c.ld, a.at, a.ld, floatBytes, b.at, b.ld, b.next, k, b.ahead, b.ld, accumulate)
		return 2 * PanelWidth
	case cols >= PanelWidth:
		gemmTileAVX2(rows, c.at, c.ld, a.at, a.ld, floatBytes, b.at, b.ld, b.next, k, b.ahead, b.ld, accumulate)
		return PanelWidth
	case !b.padded:
		s := scratch.Get().(*panelScratch)
		defer scratch.Put(s)
		for k0 := 0; k0 < k; k0 += kBlock {
			n := min(kBlock, k-k0)
			s.load(b.from(k0, 0), n, cols)
			gemmTileWhole(c, a.from(0, k0), packedColumns(s[:], n), rows, cols, n, accumulate || k0 > 0)
		}
		return cols
	}
	var whole [6 * PanelWidth]float32
	w := newMatrix(whole[:], PanelWidth)
	for i := 0; accumulate && i < rows; i++ {
		copy(whole[i*PanelWidth:], unsafe.Slice(c.from(i, 0).at, cols))
	}
	gemmTileWhole(w, a, b, rows, PanelWidth, k, accumulate)
	for i := range rows {
		copy(unsafe.Slice(c.from(i, 0).at, cols), whole[i*PanelWidth:])
	}
	return cols
}

// panelScratch holds a block of B as a panel.
type panelScratch [kBlock * PanelWidth]float32

var scratch = sync.Pool{New: func() any { return new(panelScratch) }}

// load copies k rows of the given number of columns. What is beyond them keeps
// old values, which reach only outputs that are thrown away.
func (s *panelScratch) load(b matrix, k, cols int) {
	for l := range k {
		row := s[l*PanelWidth:][:PanelWidth]
		src := unsafe.Pointer(b.from(l, 0).at)
		if cols == PanelWidth {
			*(*[PanelWidth]float32)(row) = *(*[PanelWidth]float32)(src)
			continue
		}
		copy(row, unsafe.Slice((*float32)(src), cols))
	}
}

func gemmNNArch(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int) bool {
	if active == pathGeneric {
		return false
	}
	cm, am, bm := newMatrix(c, ldc), newMatrix(a, lda), newMatrix(b, ldb)
	if m < packRowsFrom {
		strip, ahead := stripRows, uintptr(stripAhead)
		if n1-n0 <= narrow {
			strip, ahead = k, 8*bm.ld
		}
		width := blocksAtOnce(m) * PanelWidth
		for k0 := 0; k0 < k; k0 += strip {
			for j := n0; j < n1; j += width {
				b := columns{matrix: bm.from(k0, j), next: panelBytes, ahead: ahead}
				gemmColumns(cm.from(0, j), am.from(0, k0), b, m, min(width, n1-j), min(strip, k-k0), k0 > 0)
			}
		}
		return true
	}
	s := scratch.Get().(*panelScratch)
	defer scratch.Put(s)
	eachBlock(m, k, func(i0, i1, k0, k1 int) {
		for j := n0; j < n1; j += PanelWidth {
			cols := min(PanelWidth, n1-j)
			s.load(bm.from(k0, j), k1-k0, cols)
			gemmColumns(cm.from(i0, j), am.from(i0, k0), packedColumns(s[:], k1-k0), i1-i0, cols, k1-k0, k0 > 0)
		}
	})
	return true
}
