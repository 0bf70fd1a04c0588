//go:build amd64 && !purego

package kernels

import (
	"sync"
	"unsafe"
)

const (
	floatBytes = 4
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
	narrow = 4 * PanelWidth
	// From packRowsFrom rows on GemmNN copies blocks of B into a panel; below
	// that the copy costs more than walking the rows of B in place.
	packRowsFrom = 32
)

// matrix is a checked float32 matrix: its first element and the distance of its
// rows in bytes.
type matrix struct {
	at *float32
	ld uintptr
	// ahead is for B: how many bytes further on to prefetch. What is there need
	// not exist.
	ahead uintptr
}

func newMatrix(s []float32, ld int) matrix {
	return matrix{at: unsafe.SliceData(s), ld: uintptr(ld) * floatBytes}
}

// from returns the part of the matrix that starts at an element which exists.
func (x matrix) from(row, col int) matrix {
	x.at = (*float32)(unsafe.Add(unsafe.Pointer(x.at), row*int(x.ld)+col*floatBytes))
	return x
}

func gemmPackedArch(c []float32, ldc int, a []float32, lda int, packed []float32, m, n, k, p0, p1 int) bool {
	if active == pathGeneric {
		return false
	}
	cm, am := newMatrix(c, ldc), newMatrix(a, lda)
	bm := newMatrix(packed, PanelWidth)
	bm.ahead = packedAhead
	if m <= 4 {
		bm.ahead = packedAheadFewRows
	}
	eachBlock(m, k, func(i0, i1, k0, k1 int) {
		for p := p0; p < p1; p++ {
			j := p * PanelWidth
			gemmColumns(cm.from(i0, j), am.from(i0, k0), bm.from(p*k+k0, 0), i1-i0, min(PanelWidth, n-j), k1-k0, k0 > 0, true)
		}
	})
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

// gemmColumns computes (or extends) up to 32 columns of C, all of its m rows.
// padded says that B can be read to the full 32 columns.
func gemmColumns(c, a, b matrix, m, cols, k int, accumulate, padded bool) {
	// As few tiles as possible, their heights as even as possible.
	tiles := (m + maxTileRows() - 1) / maxTileRows()
	for t, i := 0, 0; t < tiles; t++ {
		rows := (m - i) / (tiles - t)
		if active == pathAVX512 {
			gemmTileAVX512(c.from(i, 0), a.from(i, 0), b, rows, cols, k, accumulate)
		} else {
			gemmTileAVX2(c.from(i, 0), a.from(i, 0), b, rows, cols, k, accumulate, padded)
		}
		i += rows
	}
}

func gemmTileAVX512(c, a, b matrix, rows, cols, k int, accumulate bool) {
	mask := uint32(1<<uint(cols) - 1)
	switch rows {
	case 1:
		gemm1x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 2:
		gemm2x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 3:
		gemm3x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 4:
		gemm4x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 5:
		gemm5x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 6:
		gemm6x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 7:
		gemm7x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 8:
		gemm8x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 9:
		gemm9x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 10:
		gemm10x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 11:
		gemm11x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	case 12:
		gemm12x32AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate, mask)
	}
}

// gemmTileAVX2 computes a tile of up to 6 x 32. The micro-kernels read and write
// whole vectors, so a tile with fewer columns goes through copies of B's rows
// and of C; the sums are the same.
func gemmTileAVX2(c, a, b matrix, rows, cols, k int, accumulate, padded bool) {
	if cols == PanelWidth {
		gemmFullTileAVX2(c, a, b, rows, k, accumulate)
		return
	}
	if !padded {
		s := scratch.Get().(*panelScratch)
		defer scratch.Put(s)
		for k0 := 0; k0 < k; k0 += kBlock {
			n := min(kBlock, k-k0)
			s.load(b.from(k0, 0), n, cols)
			gemmTileAVX2(c, a.from(0, k0), s.matrix(), rows, cols, n, accumulate || k0 > 0, true)
		}
		return
	}
	var whole [6 * PanelWidth]float32
	w := newMatrix(whole[:], PanelWidth)
	for i := 0; accumulate && i < rows; i++ {
		copy(whole[i*PanelWidth:], unsafe.Slice(c.from(i, 0).at, cols))
	}
	gemmFullTileAVX2(w, a, b, rows, k, accumulate)
	for i := range rows {
		copy(unsafe.Slice(c.from(i, 0).at, cols), whole[i*PanelWidth:])
	}
}

func gemmFullTileAVX2(c, a, b matrix, rows, k int, accumulate bool) {
	switch rows {
	case 1:
		gemm1x32AVX2(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate)
		return
	case 2:
		gemm2x32AVX2(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate)
		return
	}
	for half := 0; half < PanelWidth; half += PanelWidth / 2 {
		c, b := c.from(0, half), b.from(0, half)
		switch rows {
		case 3:
			gemm3x16AVX2(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate)
		case 4:
			gemm4x16AVX2(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate)
		case 5:
			gemm5x16AVX2(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate)
		case 6:
			gemm6x16AVX2(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, b.ahead, accumulate)
		}
	}
}

// panelScratch holds a block of B as a panel.
type panelScratch [kBlock * PanelWidth]float32

var scratch = sync.Pool{New: func() any { return new(panelScratch) }}

func (s *panelScratch) matrix() matrix { return newMatrix(s[:], PanelWidth) }

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
		strip := stripRows
		bm.ahead = stripAhead
		if n1-n0 <= narrow {
			strip = k
			bm.ahead = 8 * bm.ld
		}
		for k0 := 0; k0 < k; k0 += strip {
			for j := n0; j < n1; j += PanelWidth {
				gemmColumns(cm.from(0, j), am.from(0, k0), bm.from(k0, j), m, min(PanelWidth, n1-j), min(strip, k-k0), k0 > 0, false)
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
			gemmColumns(cm.from(i0, j), am.from(i0, k0), s.matrix(), i1-i0, cols, k1-k0, k0 > 0, true)
		}
	})
	return true
}
