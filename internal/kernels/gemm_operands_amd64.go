//go:build amd64 && !purego

package kernels

import (
	"sync"
	"unsafe"
)

const (
	floatBytes = 4
	panelBytes = PanelWidth * floatBytes // of one row of a panel
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

// from returns the part of the matrix that starts at an existing element.
func (x matrix) from(row, col int) matrix {
	x.at = (*float32)(unsafe.Add(unsafe.Pointer(x.at), row*int(x.ld)+col*floatBytes))
	return x
}

// rowsOfA are rows of A in place or packed: tile after tile, and in each tile
// column after column.
type rowsOfA struct {
	matrix
	step   uintptr // from one column to the next, in bytes
	packed bool
}

func plainRows(a matrix) rowsOfA { return rowsOfA{matrix: a, step: floatBytes} }

// tile returns a tile of rows that begins with row i, of k columns.
func (a rowsOfA) tile(i, rows, k int) rowsOfA {
	if !a.packed {
		a.matrix = a.from(i, 0)
		return a
	}
	a.at = (*float32)(unsafe.Add(unsafe.Pointer(a.at), i*k*floatBytes))
	a.ld, a.step = floatBytes, uintptr(rows)*floatBytes
	return a
}

// fromColumn skips columns of one tile.
func (a rowsOfA) fromColumn(l int) rowsOfA {
	a.at = (*float32)(unsafe.Add(unsafe.Pointer(a.at), uintptr(l)*a.step))
	return a
}

// columns are some columns of B, in blocks of 16.
type columns struct {
	matrix
	next   uintptr // from one block to the next, in bytes
	padded bool    // the last block can be read to its full width
	// Each row prefetches the line that is ahead bytes after it, and aheadStep
	// more each time. The address need not exist.
	ahead, aheadStep uintptr
	shared           bool // the tiles of a column share the prefetching
}

// skip skips n blocks; more blocks follow.
func (b columns) skip(n int) columns {
	b.at = (*float32)(unsafe.Add(unsafe.Pointer(b.at), uintptr(n)*b.next))
	return b
}

// share makes one of several tiles that use the same k rows prefetch its part
// of the next ones.
func (b columns) share(tile, tiles, k int) columns {
	if b.shared {
		b.aheadStep = panelBytes / uintptr(tiles)
		b.ahead += uintptr(tile*k) * b.aheadStep
	}
	return b
}

// inCache is for panels in the second-level cache: the AVX-512 kernels that
// share them bring them into the first.
func (b columns) inCache() columns {
	b.shared = active == pathAVX512
	return b
}

func packedColumns(packed []float32, k int) columns {
	return columns{matrix: newMatrix(packed, PanelWidth), next: uintptr(k) * panelBytes, padded: true}
}

// gemmScratch holds a block of A in tiles, and blocks of B as panels.
type gemmScratch struct {
	a      [mBlock*kBlock + 8]float32 // transposeAVX2 writes 8 elements at a time
	panels [copiedBlocks * kBlock * PanelWidth]float32
}

var scratch = sync.Pool{New: func() any { return new(gemmScratch) }}

// packA copies m rows of k columns of A as tiles of at most 8 rows, to element at
// of the scratch.
func (s *gemmScratch) packA(a matrix, m, k, at int) {
	tiles := tilesOf(m)
	for t, i := 0, 0; t < tiles; t++ {
		rows := (m - i) / (tiles - t)
		from := a.from(i, 0)
		transposeAVX2(&s.a[at+i*k], uintptr(rows)*floatBytes, from.at, from.ld, rows, k)
		i += rows
	}
}

// packedRows returns the rows that packA has put at an element.
func (s *gemmScratch) packedRows(at int) rowsOfA {
	return rowsOfA{matrix: newMatrix(s.a[at:], 1), packed: true}
}

// loadPanels copies k rows of some columns, up to copiedBlocks blocks of them.
// The columns beyond keep old values, which reach only outputs that are
// discarded.
func (s *gemmScratch) loadPanels(b matrix, k, cols int) {
	for l := range k {
		for j := 0; j < cols; j += PanelWidth {
			row := s.panels[j*k+l*PanelWidth:][:PanelWidth]
			src := unsafe.Pointer(b.from(l, j).at)
			if cols-j >= PanelWidth {
				*(*[PanelWidth]float32)(row) = *(*[PanelWidth]float32)(src)
				continue
			}
			copy(row, unsafe.Slice((*float32)(src), cols-j))
		}
	}
}

// loadTransposed is loadPanels for B^T: some rows of k elements.
func (s *gemmScratch) loadTransposed(b matrix, k, rows int) {
	for j := 0; j < rows; j += 8 {
		from, lane := b.from(j, 0), j%PanelWidth
		transposeAVX2(&s.panels[(j-lane)*k+lane], panelBytes, from.at, from.ld, min(8, rows-j), k)
	}
}
