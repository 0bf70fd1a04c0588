package cpu

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// How a product is cut into chunks. Products of few rows are cut by columns, so
// that each part of the right side is read once; products of many also by rows,
// so that a part of the left side stays in the second-level cache.
const (
	rowBlock    = 192 // maximum rows of a chunk
	rowTile     = 12  // rows of a chunk are a multiple of this
	fewRows     = 16
	fewPanels   = 8       // minimum of a chunk of more than fewRows rows
	grainMACs   = 1 << 18 // minimum of a chunk
	chunksEach  = 4       // about this many chunks per thread, to compensate for slow ones
	grainPanels = 2
)

// runLinear multiplies with one matrix and applies the stages to each part of
// the result while it is in the cache. All kernels give an element the same
// bits, so the choice of kernel and the division of the work do not affect the
// result.
func runLinear(s *step) error {
	a, out := s.in[0], s.out
	if out.Len() == 0 {
		return nil
	}
	n, k := out.Shape[len(out.Shape)-1], a.Shape[len(a.Shape)-1]
	rows, _, _, ok := rowRun(a)
	if !ok {
		return runGathered(s)
	}
	s.cutLinear(rows, n, k)
	s.pool.run(s.job, s, s.rowBlocks*s.colBlocks, 1, linearChunk)
	return nil
}

// cutLinear chooses the chunks.
func (s *step) cutLinear(rows, n, k int) {
	panels, want := kernels.Panels(n), chunksEach*s.pool.threads
	s.rowBlocks = (rows + rowBlock - 1) / rowBlock
	least := grainPanels
	if rows > fewRows {
		least = fewPanels
	}
	perPanel := max(1, rows/s.rowBlocks*k*kernels.PanelWidth)
	least = max(least, (grainMACs+perPanel-1)/perPanel)
	each := max(least, (panels*s.rowBlocks+want-1)/want)
	s.colBlocks = max(1, (panels+each-1)/each)
}

// linearChunk computes one block of rows and columns.
func linearChunk(s *step, lo, hi int) {
	a, b := s.in[0], s.in[1]
	rows, k, lda, _ := rowRun(a)
	n := s.out.Shape[len(s.out.Shape)-1]
	for i := lo; i < hi; i++ {
		r0, r1, p0, p1 := s.block(i, rows, n)
		n0, n1 := p0*kernels.PanelWidth, min(p1*kernels.PanelWidth, n)
		c, x := s.out.F32()[r0*n:], tail(a, r0*lda)
		switch {
		case s.packed != nil:
			s.packed.product(c, n, x, lda, r1-r0, n, k, p0, p1, s.halt)
		case s.op.(op.MatMul).TransB:
			kernels.GemmNT(c, n, x, lda, b.F32(), b.Strides[0], r1-r0, n0, n1, k, s.halt)
		default:
			kernels.GemmNN(c, n, x, lda, b.F32(), b.Strides[0], r1-r0, n0, n1, k, s.halt)
		}
		s.finish(r0, r1, n0, n1)
	}
}

// block is the rows and the panels of chunk i.
func (s *step) block(i, rows, n int) (r0, r1, p0, p1 int) {
	r0, r1 = share((rows+rowTile-1)/rowTile, s.rowBlocks, i/s.colBlocks)
	p0, p1 = share(kernels.Panels(n), s.colBlocks, i%s.colBlocks)
	return r0 * rowTile, min(r1*rowTile, rows), p0, p1
}

// runGathered is runLinear for a left side whose rows are not equidistant or
// have gaps: they are gathered first.
func runGathered(s *step) error {
	a := s.in[0]
	var strides [plan.MaxRank]int
	n := 1
	for d := len(a.Shape) - 1; d >= 0; d-- {
		strides[d] = n
		n *= a.Shape[d]
	}
	mem, err := s.work.get(max(4*n, 1))
	if err != nil {
		return err
	}
	defer s.work.put(mem)
	dense := op.Array{DType: a.DType, Shape: a.Shape, Strides: strides[:len(a.Shape)], Data: mem[:4*n]}
	copyStrided(&dense, a, s.halt)
	s.in[0] = &dense
	defer func() { s.in[0] = a }()
	return runLinear(s)
}

// finish applies the stages to rows r0 to r1 and columns n0 to n1 of the
// output.
func (s *step) finish(r0, r1, n0, n1 int) {
	if len(s.group.Stages) == 0 {
		return
	}
	n := s.out.Shape[len(s.out.Shape)-1]
	c := s.out.F32()
	ask := s.halt.Counter()
	for r := r0; r < r1; r++ {
		for j := n0; j < n1; j += pieceElems {
			if ask.Stop(min(pieceElems, n1-j)) {
				return
			}
			s.finishPiece(c, n, r, j, min(j+pieceElems, n1))
		}
	}
}

// finishPiece applies the stages to columns n0 to n1 of row r.
func (s *step) finishPiece(c []float32, n, r, n0, n1 int) {
	y := c[r*n+n0 : r*n+n1]
	for i, st := range s.group.Stages {
		switch f := &s.elements[i]; st.Kind {
		case program.StageUnary:
			f.unary(y, y)
		case program.StageRow:
			f.binary(y, y, s.with[i].F32()[n0:n1])
		case program.StageRows:
			at := rowOffset(s.with[i], r)
			f.binary(y, y, s.with[i].F32()[at+n0:at+n1])
		}
	}
}
