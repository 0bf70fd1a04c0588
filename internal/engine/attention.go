package engine

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
)

// queryBlock is the number of query rows whose scores are held at one time.
const queryBlock = 48

// runAttention computes blocks of query rows of the heads side by side. The
// scores of a block are all that is stored of the score matrix.
func runAttention(s *step) error {
	if s.out.Len() == 0 {
		return nil
	}
	h := s.heads()
	s.rowBlocks = (h.rows + queryBlock - 1) / queryBlock
	s.pool.run(s.job, s, h.heads*s.rowBlocks, 1, attentionChunk)
	return nil
}

// heads is the geometry of an attention: heads matrices of rows queries and as
// many of keys; perBatch of them belong to one sequence.
type heads struct{ heads, perBatch, rows, keys, dim, width int }

func (s *step) heads() heads {
	q, k, v := s.in[0], s.in[1], s.in[2]
	last := len(q.Shape) - 1
	h := heads{rows: q.Shape[last-1], keys: k.Shape[last-1], dim: q.Shape[last], width: v.Shape[last], perBatch: 1}
	for _, d := range q.Shape[1 : last-1] {
		h.perBatch *= d
	}
	h.heads = h.perBatch * q.Shape[0]
	return h
}

// attentionChunk computes units lo to hi, a unit being a block of rows of a
// head.
func attentionChunk(s *step, lo, hi int) {
	h := s.heads()
	scratch, err := s.work.get(4 * queryBlock * h.keys)
	if err != nil {
		panic(err)
	}
	defer s.work.put(scratch)
	scores := (&op.Array{Data: scratch}).F32()
	for u := lo; u < hi; u++ {
		head := u / s.rowBlocks
		r0, r1 := share(h.rows, s.rowBlocks, u%s.rowBlocks)
		s.attendRows(h, scores, head, r0, r1)
	}
}

// attendRows computes rows r0 to r1 of a head.
func (s *step) attendRows(h heads, scores []float32, head, r0, r1 int) {
	q, k, v := s.in[0], s.in[1], s.in[2]
	last := len(q.Shape) - 1
	ldq, ldk, ldv, ldo := q.Strides[last-1], k.Strides[last-1], v.Strides[last-1], h.width
	out := (head*h.rows + r0) * h.width
	if s.group.attend.merge {
		ldo = h.perBatch * h.width
		out = (head/h.perBatch*h.rows+r0)*ldo + head%h.perBatch*h.width
	}
	from, to := s.seen(h, head, r0, r1)
	n := to - from
	kernels.GemmNT(scores, n, tail(q, batchOffset(q, q, head)+r0*ldq), ldq, tail(k, batchOffset(k, q, head)+from*ldk), ldk, r1-r0, 0, n, h.dim)
	for r := r0; r < r1; r++ {
		row := scores[(r-r0)*n : (r-r0+1)*n]
		s.scaleRow(row)
		lo, hi := s.sees(h, head, r)
		fill(row[:min(max(lo-from, 0), n)])
		fill(row[min(max(hi-from, 0), n):])
		kernels.Softmax(row, row)
	}
	kernels.GemmNN(s.out.F32()[out:], ldo, scores, n, tail(v, batchOffset(v, q, head)+from*ldv), ldv, r1-r0, 0, h.width, n)
}

func (s *step) scaleRow(row []float32) {
	switch a := &s.group.attend; {
	case a.scale < 0:
	case a.divide:
		kernels.DivScalar(row, row, s.scale)
	default:
		kernels.MulScalar(row, row, s.scale)
	}
}

// sees is the keys that row r of a head sees.
func (s *step) sees(h heads, head, r int) (lo, hi int) {
	a := &s.group.attend
	if !a.masked {
		return 0, h.keys
	}
	start := 0
	if s.start != nil {
		start = s.start.Int(head / h.perBatch * s.start.Strides[0])
	}
	lo, hi = a.mask.Range(r, h.rows, h.keys, start)
	lo, hi = min(lo, h.keys), max(min(hi, h.keys), 0)
	return min(lo, hi), hi
}

// seen is the keys that any of the rows r0 to r1 sees: all keys if one of them
// sees none, since then each counts the same.
func (s *step) seen(h heads, head, r0, r1 int) (lo, hi int) {
	lo, hi = h.keys, 0
	for r := r0; r < r1; r++ {
		a, b := s.sees(h, head, r)
		if a == b {
			return 0, h.keys
		}
		lo, hi = min(lo, a), max(hi, b)
	}
	return lo, hi
}
