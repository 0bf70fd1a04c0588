package cpu

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

const (
	// queryBlock is the minimum number of query rows that are worth computing
	// separately: each part rearranges the keys and values of its head.
	queryBlock = 96
	// grainScores is the minimum work of a chunk, in products.
	grainScores = 32 << 10
)

// runAttention computes the heads side by side, in blocks of query rows where
// there are few heads. The score matrix is never stored.
func runAttention(s *step) error {
	if s.out.Len() == 0 {
		return nil
	}
	h := s.heads()
	s.rowBlocks = s.cutRows(h)
	each := max(1, h.rows/s.rowBlocks*h.keys*(h.dim+h.width))
	s.pool.run(s.job, s, h.heads*s.rowBlocks, max(1, grainScores/each), attentionChunk)
	return nil
}

// cutRows is the number of blocks of query rows.
func (s *step) cutRows(h heads) int {
	return max(1, min(3*s.pool.threads/max(h.heads, 1), h.rows/queryBlock))
}

// attentionWorkspace is the workspace of the blocks that are computed
// concurrently.
func (s *step) attentionWorkspace() int {
	h := s.heads()
	blocks := s.cutRows(h)
	work := 0
	for _, rows := range [...]int{h.rows / blocks, (h.rows + blocks - 1) / blocks} {
		spec := kernels.AttentionSpec{Rows: rows, Keys: h.keys, Dim: h.dim, ValueDim: h.width}
		work = max(work, program.Align(4*spec.Work()))
	}
	return min(s.pool.threads, h.heads*blocks) * work
}

// heads is the geometry of an attention: heads matrices of rows queries and as
// many matrices of keys; perBatch of them belong to one sequence.
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
	ask := s.halt.Counter()
	for u := lo; u < hi; u++ {
		if ask.Stop(h.rows / s.rowBlocks * h.keys) {
			return
		}
		r0, r1 := share(h.rows, s.rowBlocks, u%s.rowBlocks)
		s.attendRows(h, u/s.rowBlocks, r0, r1)
	}
}

// attendRows computes rows r0 to r1 of a head.
func (s *step) attendRows(h heads, head, r0, r1 int) {
	q, k, v := s.in[0], s.in[1], s.in[2]
	last := len(q.Shape) - 1
	ldq, ldo := q.Strides[last-1], h.width
	out := (head*h.rows + r0) * h.width
	a := &s.group.Attend
	if a.Merge {
		ldo = h.perBatch * h.width
		out = (head/h.perBatch*h.rows+r0)*ldo + head%h.perBatch*h.width
	}
	spec := kernels.AttentionSpec{
		Rows: r1 - r0, Keys: h.keys, Dim: h.dim, ValueDim: h.width,
		Scale: s.scale, Divide: a.Divide, End: h.keys,
	}
	if a.Masked {
		spec.End, spec.Window = h.keys-h.rows+r0+1, a.Mask.Window
		if s.start != nil {
			spec.Start = s.start.Int(head / h.perBatch * s.start.Strides[0])
		}
	}
	work, err := s.work.get(4 * spec.Work())
	if err != nil {
		panic(err)
	}
	defer s.work.put(work)
	kernels.Attention(s.out.F32()[out:], ldo,
		tail(q, batchOffset(q, q, head)+r0*ldq), ldq,
		s.keys.rowsOf(k, batchOffset(k, q, head)), s.values.rowsOf(v, batchOffset(v, q, head)),
		spec, (&op.Array{Data: work}).F32(), s.halt)
}
