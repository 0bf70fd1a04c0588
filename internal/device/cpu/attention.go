package cpu

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

const (
	// queryBlock is the minimum number of query rows that are worth computing
	// separately: each part rearranges the keys and values of its head.
	queryBlock = 96
	// grainScores is the minimum work of a chunk, in products.
	grainScores = 32 << 10
)

// runAttention computes the heads of keys side by side, in blocks of query rows
// or of the heads that share the keys where there are few. The score matrix is
// never stored.
func runAttention(s *step) error {
	if s.out.Len() == 0 {
		return nil
	}
	mem, err := s.copyOperands()
	if err != nil {
		return err
	}
	defer s.work.put(mem)
	h := s.heads()
	s.rowBlocks, s.colBlocks = s.cutAttention(h)
	each := max(1, h.each/s.colBlocks*h.rows/s.rowBlocks*h.keys*(h.dim+h.width))
	s.pool.run(s.job, s, h.heads*s.rowBlocks*s.colBlocks, max(1, grainScores/each), attentionChunk)
	return nil
}

// cutAttention is the number of blocks of query rows, and of parts of the heads
// that share keys.
func (s *step) cutAttention(h heads) (blocks, parts int) {
	blocks = max(1, min(3*s.pool.threads/max(h.heads, 1), h.rows/queryBlock))
	switch n := h.heads * blocks; {
	case h.own: // each has a start of its own
		parts = h.each
	case n < s.pool.threads && h.each*h.rows*h.keys*(h.dim+h.width) >= 2*grainScores:
		parts = min(h.each, s.pool.threads/max(n, 1))
	}
	return blocks, max(parts, 1)
}

// attentionWorkspace is the workspace of the blocks that are computed
// concurrently, and of copies.
func (s *step) attentionWorkspace() int {
	h := s.heads()
	blocks, parts := s.cutAttention(h)
	work := 0
	for _, rows := range [...]int{h.rows / blocks, (h.rows + blocks - 1) / blocks} {
		spec := kernels.AttentionSpec{Heads: (h.each + parts - 1) / parts, Rows: rows, Keys: h.keys, Dim: h.dim, ValueDim: h.width}
		work = max(work, program.Align(4*spec.Work()))
	}
	return min(s.pool.threads, h.heads*blocks*parts)*work + s.copiedBytes()
}

// heads is the geometry of an attention: heads matrices of keys, of which perBatch
// belong to one sequence, and for each of them each matrices of rows queries.
type heads struct {
	heads, perBatch, each, rows, keys, dim, width int

	own bool // queries that share keys start at different ones
}

func (s *step) heads() heads {
	q, k, v := s.in[0], s.in[1], s.in[2]
	last := len(q.Shape) - 1
	h := heads{rows: q.Shape[last-1], keys: k.Shape[last-1], dim: q.Shape[last], width: v.Shape[last], perBatch: 1, each: 1}
	for _, d := range k.Shape[1 : last-1] {
		h.perBatch *= d
	}
	h.heads = h.perBatch * k.Shape[0]
	if n := k.Shape[last-2]; n > 0 {
		h.each = q.Shape[last-2] / n
	}
	h.own = last == 2 && s.start != nil && h.each > 1
	return h
}

// attentionChunk computes units lo to hi, a unit being a block of rows of the
// heads, or of a part of the heads, that share keys.
func attentionChunk(s *step, lo, hi int) {
	h := s.heads()
	ask := s.halt.Counter()
	for u := lo; u < hi; u++ {
		if ask.Stop(h.each / s.colBlocks * h.rows / s.rowBlocks * h.keys) {
			return
		}
		head, at := u/(s.rowBlocks*s.colBlocks), u%(s.rowBlocks*s.colBlocks)
		r0, r1 := share(h.rows, s.rowBlocks, at%s.rowBlocks)
		g0, g1 := share(h.each, s.colBlocks, at/s.rowBlocks)
		s.attendRows(h, head, g0, g1, r0, r1)
	}
}

// attendRows computes rows r0 to r1 of the heads g0 to g1 of those that share the
// keys of a head.
func (s *step) attendRows(h heads, head, g0, g1, r0, r1 int) {
	q, k, v := s.operand(0), s.operand(1), s.operand(2)
	last := len(q.Shape) - 1
	first := head*h.each + g0 // among the heads of queries
	a := &s.group.Attend
	spec := kernels.AttentionSpec{
		Heads: g1 - g0, Rows: r1 - r0, Keys: h.keys, Dim: h.dim, ValueDim: h.width,
		QHead: q.Strides[last-2], OutHead: h.rows * h.width,
		Scale: a.Op.Scale, Divide: a.Divide, Softcap: a.Op.Softcap, End: h.keys,
	}
	ldq, ldo, out := q.Strides[last-1], h.width, (first*h.rows+r0)*h.width
	if a.Merge {
		heads := h.perBatch * h.each
		ldo, spec.OutHead = heads*h.width, h.width
		out = (first/heads*h.rows+r0)*ldo + first%heads*h.width
	}
	if a.Op.Causal {
		spec.End, spec.Window = h.keys-h.rows+r0+1, a.Op.Window
	}
	if s.start != nil {
		spec.Start = s.start.Int(first * q.Shape[0] / (h.heads * h.each) * s.start.Strides[0])
	}
	if s.mask != nil {
		spec.Mask = maskOf(s.mask, q, first, r0)
	}
	work, err := s.work.get(4 * spec.Work())
	if err != nil {
		panic(err)
	}
	defer s.work.put(work)
	kernels.Attention(s.out.F32()[out:], ldo,
		tail(q, batchOffset(q, q, first)+r0*ldq), ldq,
		s.keys.rowsOf(k, batchOffset(k, k, head)), s.values.rowsOf(v, batchOffset(v, v, head)),
		spec, (&op.Array{Data: work}).F32(), s.halt)
}

// maskOf is the mask for the queries from row r0 of a head on.
func maskOf(m, q *op.Array, head, r0 int) kernels.AttentionMask {
	n := len(m.Shape)
	stride := func(axis int) int {
		if axis < 0 || m.Shape[axis] == 1 {
			return 0
		}
		return m.Strides[axis]
	}
	out := kernels.AttentionMask{Head: stride(n - 3), Row: stride(n - 2), Key: stride(n - 1)}
	at := batchOffset(m, q, head) + r0*out.Row
	if m.DType == plan.Bool {
		out.May = m.Data[min(at, len(m.Data)):]
	} else {
		out.Add = tail(m, at)
	}
	return out
}

// copies are dense copies of the operands of an attention whose rows have gaps.
type copies struct {
	of      [3]op.Array
	strides [3][plan.MaxRank]int
	made    [3]bool
}

// gaps reports whether operand i has to be copied. Keys may have adjacent rows
// instead of adjacent elements.
func (s *step) gaps(i int) bool {
	a := s.in[i]
	return !unitRows(a) && (i != 1 || a.Strides[len(a.Shape)-2] != 1)
}

// operand is operand i of an attention, or its copy.
func (s *step) operand(i int) *op.Array {
	if s.copied != nil && s.copied.made[i] {
		return &s.copied.of[i]
	}
	return s.in[i]
}

// copiedBytes is the memory of the copies.
func (s *step) copiedBytes() (n int) {
	for i := range 3 {
		if s.copied != nil && s.gaps(i) {
			n += program.Align(4 * s.in[i].Len())
		}
	}
	return n
}

// copyOperands copies the operands whose rows have gaps, to memory that it
// returns.
func (s *step) copyOperands() ([]byte, error) {
	c := s.copied
	if c == nil {
		return nil, nil
	}
	mem, err := s.work.get(s.copiedBytes())
	if err != nil {
		return nil, err
	}
	rest := mem
	for i, a := range s.in {
		if c.made[i] = s.gaps(i); !c.made[i] {
			continue
		}
		n := 4 * a.Len()
		d := op.Array{DType: a.DType, Shape: a.Shape, Strides: c.strides[i][:len(a.Shape)], Data: rest[:n:n]}
		rest = rest[program.Align(n):]
		stride := 1
		for k := len(a.Shape) - 1; k >= 0; k-- {
			d.Strides[k], stride = stride, stride*a.Shape[k]
		}
		copyStrided(&d, a, s.halt)
		c.of[i] = d
	}
	return mem, nil
}
