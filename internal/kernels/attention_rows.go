package kernels

import "fmt"

// KeyBlock keys are a block of [Attention]: the rows of a page are a multiple.
const KeyBlock = keyBlock

// Rows is a matrix whose rows are Stride elements apart, in one piece of memory
// or in pages of PageRows rows, each from element Offset of its page on.
type Rows struct {
	Data     []float32   // from the first row on, where there are no pages
	Pages    [][]float32 // nil for none
	Offset   int
	Stride   int
	PageRows int // a multiple of [KeyBlock], but for a single page
	// Turned: the rows are adjacent and the elements of a row Stride apart, as
	// in the transposed matrix. For keys only.
	Turned bool
}

// InOnePiece is a matrix without pages.
func InOnePiece(data []float32, stride int) Rows { return Rows{Data: data, Stride: stride} }

// part is the memory from row r on, and where the rows of that piece end, at most at
// row end.
func (m *Rows) part(r, end int) (data []float32, to int) {
	step := m.Stride
	if m.Turned {
		step = 1
	}
	if m.Pages == nil {
		return m.Data[r*step:], end
	}
	page := m.Pages[r/m.PageRows]
	return page[m.Offset+r%m.PageRows*step:], min(end, (r/m.PageRows+1)*m.PageRows)
}

// ahead prefetches the rows from row r on, before row end, if they begin a page:
// within one, products prefetch what they need.
func (m *Rows) ahead(r, end, cols int) {
	if m.Pages != nil && !m.Turned && r < end && r%m.PageRows == 0 {
		prefetchRows(m.Pages[r/m.PageRows][m.Offset:], m.Stride, min(rowsAhead, end-r), cols)
	}
}

// need panics unless all rows have so many elements.
func (m *Rows) need(name string, rows, cols int) {
	needPart := func(length, rows int) {
		if m.Turned {
			needMatrix("Attention", name, length, cols, rows, m.Stride)
		} else {
			needMatrix("Attention", name, length, rows, cols, m.Stride)
		}
	}
	if m.Pages == nil {
		needPart(len(m.Data), rows)
		return
	}
	if rows > 0 && (m.PageRows < 1 || len(m.Pages) > 1 && m.PageRows%KeyBlock != 0 || m.Offset < 0) {
		panic(fmt.Sprintf("kernels: Attention: %s in pages of %d rows, from element %d on", name, m.PageRows, m.Offset))
	}
	for i := 0; rows > 0; i++ {
		n := min(rows, m.PageRows)
		if i == len(m.Pages) {
			panic(fmt.Sprintf("kernels: Attention: %s: %d rows too few in %d pages of %d", name, rows, i, m.PageRows))
		}
		needPart(len(m.Pages[i])-m.Offset, n)
		rows -= n
	}
}

// panelOfRows copies n elements, from element d on, of the first rows of a piece
// as the columns of a panel. Missing columns keep old values, or zeros.
func (m *Rows) panelOfRows(panel, piece []float32, rows, d, n int) {
	switch {
	case n == 0:
	case m.Turned:
		packPanel(panel[:n*PanelWidth], piece[d*m.Stride:], m.Stride, 1, n, rows)
	case !turnPanelArch(panel, piece[d:], m.Stride, rows, n):
		packPanel(panel[:n*PanelWidth], piece[d:], 1, m.Stride, n, rows)
	}
}
