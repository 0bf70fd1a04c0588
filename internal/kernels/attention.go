package kernels

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// AttentionSpec says what [Attention] computes: Heads heads of Rows queries of
// Dim elements attend to the same Keys keys of Dim elements, whose values have
// ValueDim.
//
// Row r of a head attends to the keys from max(Start, End+r-Window) up to
// End+r, exclusive, as far as they exist; Window 0 means no window. This is the
// causal mask of a block of queries whose first one attends to End keys. With
// End = Keys and Start = 0 every row attends to every key.
type AttentionSpec struct {
	Rows, Keys, Dim, ValueDim int

	// Heads is the number of heads that share the keys and values, 0 for one.
	// Their queries begin QHead elements apart, their outputs OutHead.
	Heads, QHead, OutHead int

	// The scores are multiplied by Scale, or divided by it with Divide. With a
	// Softcap c, a score s becomes c*tanh(s/c).
	Scale   float32
	Divide  bool
	Softcap float32

	Mask AttentionMask

	Start, End, Window int
}

// Range is the keys that row r attends to, from to to, exclusive.
func (s *AttentionSpec) Range(r int) (from, to int) {
	to = max(s.End+r, 0)
	from = max(s.Start, 0)
	if s.Window > 0 {
		from = max(from, to-s.Window)
	}
	to = min(to, s.Keys)
	return min(from, to), to
}

func (s *AttentionSpec) heads() int { return max(s.Heads, 1) }

const (
	// Below blockRowsFrom rows the keys and values are read in place. From
	// there on they are copied into panels once for all rows and heads of the
	// call.
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
	// rowsAhead rows of the next page are prefetched with a page.
	rowsAhead = 32
	// scorePad keeps rows of scores from falling into the same cache sets.
	scorePad = 16
)

// Work is the number of floats of memory that [Attention] needs.
func (s *AttentionSpec) Work() int {
	needDims("AttentionSpec", s.Rows, s.Keys, s.Dim)
	needDims("AttentionSpec", s.ValueDim, s.Heads, 0)
	if s.Rows < blockRowsFrom {
		return max(min(s.heads(), s.headsAtOnce())*s.Rows, 1) * s.Keys
	}
	return min(s.Rows, scoreRows)*s.scoreStride() + PackedLen(s.Dim, s.Keys) + PackedLen(s.Keys, s.ValueDim)
}

// headsAtOnce is the number of heads of few rows whose scores exist at a time.
func (s *AttentionSpec) headsAtOnce() int { return scoreRows / max(s.Rows, 1) }

// scoreStride is the distance of rows of scores: whole panels of keys.
func (s *AttentionSpec) scoreStride() int { return Panels(s.Keys)*PanelWidth + scorePad }

// Attention computes softmax(scale * Q x K^T) x V for the heads that share K and
// V, each row over the keys that it attends to: Q [Rows, Dim], K [Keys, Dim], V
// [Keys, ValueDim], the output [Rows, ValueDim], all row major with the distance
// of rows given. K and V are read once for all heads, up to scoreRows rows where
// there are few. K and V may be stored in pages, which changes no bits. work
// holds at least s.Work() floats with any content. The output must not overlap
// anything else.
//
// A row has the bits of the separate steps: [GemmNT] of Q and K, [MulScalar] or
// [DivScalar], with a soft cap [DivScalar], [Tanh] and [MulScalar], [Add] of an
// additive mask, the scores of masked keys replaced by -MaxFloat32, [Softmax]
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
	if s.Rows > 0 {
		last := s.heads() - 1
		needHeads("the output", len(out), last, s.OutHead)
		needHeads("Q", len(q), last, s.QHead)
		needOutput("Attention", len(out)-last*s.OutHead, s.Rows, s.ValueDim, ldo)
		needMatrix("Attention", "Q", len(q)-last*s.QHead, s.Rows, s.Dim, ldq)
	}
	k.need("K", s.Keys, s.Dim)
	v.need("V", s.Keys, s.ValueDim)
	s.Mask.need(&s)
	a := attention{s, out, ldo, q, ldq, k, v, h, h.Counter()}
	switch {
	case s.Rows == 0 || s.ValueDim == 0:
	case s.Keys == 0:
		for g := range s.heads() {
			clearColumns(out[g*s.OutHead:], ldo, s.Rows, 0, s.ValueDim)
		}
	case s.Rows < blockRowsFrom:
		a.fewRows(work)
	default:
		a.manyRows(work)
	}
}

func needHeads(operand string, length, last, distance int) {
	if distance < 0 || distance > 0 && last > length/distance {
		panic(fmt.Sprintf("kernels: Attention: %s of %d elements is too short for %d heads, %d elements apart", operand, length, last+1, distance))
	}
}

// attention is one call of Attention.
type attention struct {
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

// products multiplies rows of queries with the keys from lo to hi, whose scores
// are stored side by side.
func (a *attention) products(scores []float32, ld int, q []float32, ldq, rows, lo, hi int) {
	for r := lo; r < hi; {
		k, to := a.k.part(r, hi)
		a.k.ahead(to, hi, a.Dim)
		if a.k.Turned {
			GemmNN(scores[r-lo:], ld, q, ldq, k, a.k.Stride, rows, 0, to-r, a.Dim, a.halt)
		} else {
			GemmNT(scores[r-lo:], ld, q, ldq, k, a.k.Stride, rows, 0, to-r, a.Dim, a.halt)
		}
		r = to
	}
}

// weighted multiplies the weights of the keys from lo to hi with their values;
// with accumulate it adds to the output.
func (a *attention) weighted(out []float32, ldo int, weights []float32, ld, rows, lo, hi int, accumulate bool) {
	for r := lo; r < hi; {
		v, to := a.v.part(r, hi)
		a.v.ahead(to, hi, a.ValueDim)
		gemmNN(out, ldo, weights[r-lo:], ld, v, a.v.Stride, rows, 0, a.ValueDim, to-r, accumulate || r > lo, a.halt)
		r = to
	}
}

// weigh turns the scores of row r of head g into weights; the first one is that
// of key lo. It returns false if masked keys contribute to the softmax; the
// weights of the row are then of no use.
func (a *attention) weigh(row []float32, g, r, lo int) bool {
	from, to := a.Range(r)
	seen := row[from-lo : to-lo]
	clear(row[:from-lo])
	clear(row[to-lo:])
	a.adjust(seen, g, r, from)
	top := rowMax(seen, a.halt)
	if !(top > -math.MaxFloat32) && len(seen) < a.Keys {
		clear(seen)
		return false
	}
	softmax(seen, seen, top, a.halt)
	return true
}

// adjust makes products of row r of head g scores: scaled, capped and masked. The
// first one is that of key from.
func (a *attention) adjust(scores []float32, g, r, from int) {
	rowParts(len(scores), a.halt, func(i, j int) {
		part := scores[i:j]
		if a.Divide {
			DivScalar(part, part, a.Scale)
		} else {
			MulScalar(part, part, a.Scale)
		}
		if a.Softcap > 0 {
			DivScalar(part, part, a.Softcap)
			Tanh(part, part)
			MulScalar(part, part, a.Softcap)
		}
		a.Mask.apply(part, g, r, from+i)
	})
}

// oddRows computes the rows from r0 on of head g whose bits are set, step by
// step: those without visible keys, or whose visible keys all have scores as low
// as those of masked ones.
func (a *attention) oddRows(g, r0 int, odd uint64, work []float32) {
	for r := r0; odd != 0; r, odd = r+1, odd>>1 {
		if odd&1 == 0 {
			continue
		}
		row := work[:a.Keys]
		from, to := a.Range(r)
		for j := range row {
			row[j] = -math.MaxFloat32
		}
		if from < to {
			a.products(row[from:], to-from, a.q[g*a.QHead+r*a.ldq:], a.ldq, 1, from, to)
			a.adjust(row[from:to], g, r, from)
		}
		Softmax(row, row, a.halt)
		a.weighted(a.out[g*a.OutHead+r*a.ldo:], a.ldo, row, a.Keys, 1, 0, a.Keys, false)
	}
}
