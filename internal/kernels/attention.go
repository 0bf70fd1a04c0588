package kernels

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// AttentionSpec says what [Attention] computes for one head: Rows queries of
// Dim elements attend to Keys keys of Dim elements, whose values have ValueDim.
//
// Row r attends to the keys from max(Start, End+r-Window) up to End+r,
// exclusive, as far as they exist; Window 0 means no window. This is the causal
// mask of a block of queries whose first one attends to End keys. With End =
// Keys and Start = 0 every row attends to every key.
type AttentionSpec struct {
	Rows, Keys, Dim, ValueDim int

	// The scores are multiplied by Scale, or divided by it with Divide.
	Scale  float32
	Divide bool

	Start, End, Window int
}

// Range is the keys that row r attends to, from to to, exclusive.
func (s AttentionSpec) Range(r int) (from, to int) {
	to = max(s.End+r, 0)
	from = max(s.Start, 0)
	if s.Window > 0 {
		from = max(from, to-s.Window)
	}
	to = min(to, s.Keys)
	return min(from, to), to
}

const (
	// Below blockRowsFrom rows the keys and values are read in place. From
	// there on they are copied into panels once for all rows of the call.
	blockRowsFrom = 9
	// scoreRows rows of scores exist at a time.
	scoreRows = 48
	// Rows of one group share the range of keys whose values are multiplied.
	groupRows = 12
	// keyBlock rows of a panel of values stay in the first-level cache while
	// the groups of a block use them.
	keyBlock = 256
	// dimPart elements of a query, a key or a value are processed at once.
	dimPart = 1 << 14
	// scorePad keeps rows of scores from falling into the same cache sets.
	scorePad = 16
)

// Work is the number of floats of memory that [Attention] needs.
func (s AttentionSpec) Work() int {
	needDims("AttentionSpec", s.Rows, s.Keys, s.Dim)
	needDims("AttentionSpec", s.ValueDim, 0, 0)
	if s.Rows < blockRowsFrom {
		return max(s.Rows, 1) * s.Keys
	}
	return min(s.Rows, scoreRows)*s.scoreStride() + PackedLen(s.Dim, s.Keys) + PackedLen(s.Keys, s.ValueDim)
}

// scoreStride is the distance of rows of scores: whole panels of keys.
func (s AttentionSpec) scoreStride() int { return Panels(s.Keys)*PanelWidth + scorePad }

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
}

// InOnePiece is a matrix without pages.
func InOnePiece(data []float32, stride int) Rows { return Rows{Data: data, Stride: stride} }

// part is the memory from row r on, and where the rows of that piece end, at most at
// row end.
func (m *Rows) part(r, end int) (data []float32, to int) {
	if m.Pages == nil {
		return m.Data[r*m.Stride:], end
	}
	page := m.Pages[r/m.PageRows]
	return page[m.Offset+r%m.PageRows*m.Stride:], min(end, (r/m.PageRows+1)*m.PageRows)
}

// need panics unless all rows have so many elements.
func (m *Rows) need(name string, rows, cols int) {
	if m.Pages == nil {
		needMatrix("Attention", name, len(m.Data), rows, cols, m.Stride)
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
		needMatrix("Attention", name, len(m.Pages[i])-m.Offset, n, cols, m.Stride)
		rows -= n
	}
}

// Attention computes softmax(scale * Q x K^T) x V for one head, each row over
// the keys that it attends to: Q [Rows, Dim], K [Keys, Dim], V [Keys,
// ValueDim], the output [Rows, ValueDim], all row major with the distance of
// rows given. K and V may be stored in pages, which changes no bits. work holds
// at least s.Work() floats with any content. The output must not overlap
// anything else.
//
// A row has the bits of the separate steps: [GemmNT] of Q and K, [MulScalar] or
// [DivScalar], the scores of masked keys replaced by -MaxFloat32, [Softmax]
// over all Keys, and [GemmNN] with V. A row without visible keys therefore
// weights all of them equally. Only work on exact zeros is skipped: keys and
// values that no row attends to are not read, except for such a row. If a
// masked value is an infinity or NaN, the separate steps give NaN, while here
// the row may be unaffected; and an output that underflows to zero may have the
// other sign. When h stops it the output is undefined.
func Attention(out []float32, ldo int, q []float32, ldq int, k, v Rows, s AttentionSpec, work []float32, h halt.Func) {
	if need := s.Work(); len(work) < need {
		panic(fmt.Sprintf("kernels: Attention: work memory of %d floats, wants %d", len(work), need))
	}
	needOutput("Attention", len(out), s.Rows, s.ValueDim, ldo)
	needMatrix("Attention", "Q", len(q), s.Rows, s.Dim, ldq)
	k.need("K", s.Keys, s.Dim)
	v.need("V", s.Keys, s.ValueDim)
	switch h := (head{s, out, ldo, q, ldq, k, v, h, h.Counter()}); {
	case s.Rows == 0 || s.ValueDim == 0:
	case s.Keys == 0:
		clearColumns(out, ldo, s.Rows, 0, s.ValueDim)
	case s.Rows < blockRowsFrom:
		h.fewRows(work)
	default:
		h.manyRows(work)
	}
}

// head is one call of Attention.
type head struct {
	AttentionSpec
	out []float32
	ldo int
	q   []float32
	ldq int
	k   Rows
	v   Rows

	halt halt.Func
	ask  halt.Counter
}

// fewRows passes once over the keys and once over the values.
func (h *head) fewRows(work []float32) {
	lo, _ := h.Range(0)
	_, hi := h.Range(h.Rows - 1)
	var odd uint64
	if n := hi - lo; n == 0 {
		odd = 1<<h.Rows - 1
	} else {
		h.products(work, n, h.q, h.Rows, lo, hi)
		for r := range h.Rows {
			if !h.weigh(work[r*n:][:n], r, lo) {
				odd |= 1 << r
			}
		}
		h.weighted(h.out, work, n, h.Rows, lo, hi)
	}
	h.oddRows(0, odd, work)
}

// products multiplies rows of queries with the keys from lo to hi, whose scores
// are stored side by side.
func (h *head) products(scores []float32, ld int, q []float32, rows, lo, hi int) {
	for r := lo; r < hi; {
		k, to := h.k.part(r, hi)
		GemmNT(scores[r-lo:], ld, q, h.ldq, k, h.k.Stride, rows, 0, to-r, h.Dim, h.halt)
		r = to
	}
}

// weighted multiplies the weights of the keys from lo to hi with their values.
func (h *head) weighted(out, weights []float32, ld, rows, lo, hi int) {
	for r := lo; r < hi; {
		v, to := h.v.part(r, hi)
		gemmNN(out, h.ldo, weights[r-lo:], ld, v, h.v.Stride, rows, 0, h.ValueDim, to-r, r > lo, h.halt)
		r = to
	}
}

// manyRows processes one block of rows after another. Panels of keys and values
// are made when the first block needs them.
func (h *head) manyRows(work []float32) {
	ld := h.scoreStride()
	scores, rest := work[:min(h.Rows, scoreRows)*ld], work[min(h.Rows, scoreRows)*ld:]
	keys, values := rest[:PackedLen(h.Dim, h.Keys)], rest[PackedLen(h.Dim, h.Keys):]
	lo, _ := h.Range(0)
	ready := lo / PanelWidth
	for r0 := 0; r0 < h.Rows; r0 += scoreRows {
		b := rowBlock{head: h, r0: r0, r1: min(r0+scoreRows, h.Rows), scores: scores, ld: ld}
		b.lo, _ = h.Range(r0)
		_, b.hi = h.Range(b.r1 - 1)
		for ; ready*PanelWidth < b.hi; ready++ {
			if !h.pack(keys, values, ready*PanelWidth, min((ready+1)*PanelWidth, h.Keys)) {
				return
			}
		}
		b.lo -= b.lo % PanelWidth
		b.score(keys)
		odd := b.weighAll()
		b.mix(values)
		if h.oddRows(r0, odd, work); h.ask.Stop(1) {
			return
		}
	}
}

// pack makes panels of the keys k0 to k1, one panel, and their values.
func (h *head) pack(keys, values []float32, k0, k1 int) bool {
	k, _ := h.k.part(k0, k1)
	v, _ := h.v.part(k0, k1)
	for d := 0; d < h.Dim; d += dimPart {
		n := min(dimPart, h.Dim-d)
		if h.ask.Stop(n * PanelWidth) {
			return false
		}
		turnPanel(keys[k0*h.Dim+d*PanelWidth:], k[d:], h.k.Stride, k1-k0, n)
	}
	for j := 0; j < h.ValueDim; j += dimPart {
		n := min(dimPart, h.ValueDim-j)
		if h.ask.Stop(n * PanelWidth) {
			return false
		}
		packRows(values[j*h.Keys:], v[j:], h.v.Stride, k0, k1, h.Keys, n)
	}
	return true
}

// rowBlock is the rows r0 to r1, which attend to keys from lo to hi. Column j
// of its scores is key lo+j.
type rowBlock struct {
	*head
	r0, r1, lo, hi int
	scores         []float32
	ld             int
}

// score multiplies with the panels of keys, one or two, for the rows that
// attend to one of their keys.
func (b *rowBlock) score(keys []float32) {
	for k0 := b.lo; k0 < b.hi; {
		width := PanelWidth
		if k0+PanelWidth < b.hi {
			width *= productPanels()
		}
		first, last := max(b.r0, k0-b.End+1), b.r1
		if b.Window > 0 {
			last = min(last, k0+width+b.Window-b.End)
		}
		for d := 0; first < last && (d < b.Dim || d == 0); d += dimPart {
			n := min(dimPart, b.Dim-d)
			if b.ask.Stop((last - first) * width * n) {
				return
			}
			gemmBlock(b.scores[(first-b.r0)*b.ld+k0-b.lo:], b.ld, b.q[first*b.ldq+d:], b.ldq, keys[k0*b.Dim+d*PanelWidth:], b.Dim*PanelWidth, last-first, width, n, d > 0)
		}
		k0 += width
	}
}

// weighAll turns scores into weights, with zeros where only another row of the
// group attends to a key. It returns a bit for each row that has to be computed
// separately.
func (b *rowBlock) weighAll() (odd uint64) {
	for g0 := b.r0; g0 < b.r1; g0 += groupRows {
		g1 := min(g0+groupRows, b.r1)
		lo, _ := b.Range(g0)
		_, hi := b.Range(g1 - 1)
		for r := g0; r < g1; r++ {
			if !b.weigh(b.scores[(r-b.r0)*b.ld+lo-b.lo:][:hi-lo], r, lo) {
				odd |= 1 << (r - b.r0)
			}
		}
	}
	return odd
}

// mix multiplies the weights with the panels of values.
func (b *rowBlock) mix(values []float32) {
	for k0 := b.lo - b.lo%keyBlock; k0 < b.hi; k0 += keyBlock {
		width := productPanels() * PanelWidth
		for j := 0; j < b.ValueDim; j += width {
			panels := values[j*b.Keys:]
			for g0 := b.r0; g0 < b.r1; g0 += groupRows {
				g1 := min(g0+groupRows, b.r1)
				lo, _ := b.Range(g0)
				_, hi := b.Range(g1 - 1)
				from, to := max(k0, lo), min(k0+keyBlock, hi)
				if from < to {
					if b.ask.Stop((g1 - g0) * width * (to - from)) {
						return
					}
					gemmBlock(b.out[g0*b.ldo+j:], b.ldo, b.scores[(g0-b.r0)*b.ld+from-b.lo:], b.ld, panels[from*PanelWidth:], b.Keys*PanelWidth,
						g1-g0, min(width, b.ValueDim-j), to-from, from > lo)
				}
			}
		}
	}
}

// weigh turns the scores of row r into weights; the first one is that of key
// lo. It returns false if masked keys contribute to the softmax; the weights of
// the row are then of no use.
func (h *head) weigh(row []float32, r, lo int) bool {
	from, to := h.Range(r)
	seen := row[from-lo : to-lo]
	clear(row[:from-lo])
	clear(row[to-lo:])
	rowParts(len(seen), h.halt, func(i, j int) { h.scale(seen[i:j]) })
	top := rowMax(seen, h.halt)
	if !(top > -math.MaxFloat32) && len(seen) < h.Keys {
		clear(seen)
		return false
	}
	softmax(seen, seen, top, h.halt)
	return true
}

func (h *head) scale(scores []float32) {
	if h.Divide {
		DivScalar(scores, scores, h.Scale)
	} else {
		MulScalar(scores, scores, h.Scale)
	}
}

// oddRows computes the rows from r0 on whose bits are set, step by step: those
// without visible keys, or whose visible keys all have scores as low as those
// of masked ones.
func (h *head) oddRows(r0 int, odd uint64, work []float32) {
	for r := r0; odd != 0; r, odd = r+1, odd>>1 {
		if odd&1 == 0 {
			continue
		}
		row := work[:h.Keys]
		from, to := h.Range(r)
		for j := range row {
			row[j] = -math.MaxFloat32
		}
		if from < to {
			h.products(row[from:], to-from, h.q[r*h.ldq:], 1, from, to)
			h.scale(row[from:to])
		}
		Softmax(row, row, h.halt)
		h.weighted(h.out[r*h.ldo:], row, h.Keys, 1, 0, h.Keys)
	}
}

// turnPanel copies rows of k as the columns of a panel. Missing columns keep
// old values.
func turnPanel(panel, k []float32, ldk, rows, dim int) {
	if dim > 0 && !turnPanelArch(panel, k, ldk, rows, dim) {
		packPanel(panel[:dim*PanelWidth], k, 1, ldk, dim, rows)
	}
}
