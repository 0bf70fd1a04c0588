package cpu

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// resizing is the geometry of a resize, by axis in the order of the output's memory,
// the last one first in it changing fastest.
type resizing struct {
	rank, taps int
	n, stride  [plan.MaxRank]int // positions of the output, and the stride of the input
	// off and weight are the neighbours of each position of an axis that changes,
	// taps of them; nil for an axis that does not.
	off    [plan.MaxRank][]int
	weight [plan.MaxRank][]float32
}

// maxNeighbours is the neighbours of a row of the output that the kernel combines:
// those of four axes by two or of two by four.
const maxNeighbours = op.MaxRowTaps

// resizeOrder calls f for each axis of the output in the order of its memory, with its
// place there.
func resizeOrder(out *op.Array, f func(place, axis int)) {
	rank := len(out.Shape)
	if !out.Contiguous() { // the channels are last
		for place, axis := range [...]int{0, 2, 3, 1} {
			f(place, axis)
		}
		return
	}
	for axis := range rank {
		f(axis, axis)
	}
}

// resizeEntries is the number of neighbours in the tables of all axes that change.
func (s *step) resizeEntries() (n int) {
	o := s.op.(op.Resize)
	for d := range s.out.Shape {
		if o.Changes(d, s.in[0].Shape[d], s.out.Shape[d]) {
			n += s.out.Shape[d] * o.Taps()
		}
	}
	return n
}

func (s *step) resizeWorkspace() int {
	n := s.resizeEntries()
	return program.Align(max(8*n, 1)) + program.Align(max(4*n, 1))
}

// runResize finds the neighbours along each axis once, and combines them by rows of
// the output.
func runResize(s *step) error {
	n := s.resizeEntries()
	offsets, err := s.work.get(max(8*n, 1))
	if err != nil {
		return err
	}
	defer s.work.put(offsets)
	weights, err := s.work.get(max(4*n, 1))
	if err != nil {
		return err
	}
	defer s.work.put(weights)
	s.setResize(elems[int](offsets[:8*n]), elems[float32](weights[:4*n]))
	if s.halt.Now() {
		return nil
	}
	row := s.resizing.n[max(s.resizing.rank-1, 0)]
	s.pool.run(s.job, s, s.out.Len()/row, rowsPerChunk(2*row+16), resizeChunk)
	return nil
}

// setResize fills the tables.
func (s *step) setResize(offsets []int, weights []float32) {
	o, r, x := s.op.(op.Resize), s.resizing, s.in[0]
	r.rank, r.taps = len(s.out.Shape), o.Taps()
	r.n[0] = 1
	ask := s.halt.Counter()
	resizeOrder(s.out, func(place, axis int) {
		n := s.out.Shape[axis]
		r.n[place], r.stride[place] = n, x.Strides[axis]
		r.off[place], r.weight[place] = nil, nil
		if !o.Changes(axis, x.Shape[axis], n) {
			return
		}
		r.off[place], offsets = offsets[:n*r.taps], offsets[n*r.taps:]
		r.weight[place], weights = weights[:n*r.taps], weights[n*r.taps:]
		for i := range n {
			if ask.Stop(copyStep) {
				return
			}
			o.Neighbours(r.off[place][i*r.taps:], r.weight[place][i*r.taps:], axis, i, x.Shape[axis], n, x.Strides[axis])
		}
	})
}

// resizedRow is the neighbours of a row of the output along the axes before its last.
type resizedRow struct {
	n    int
	base [maxNeighbours]int
	w    [maxNeighbours]float32
}

// resizeChunk computes rows lo to hi.
func resizeChunk(s *step, lo, hi int) {
	r := s.resizing
	last := max(r.rank-1, 0)
	n := r.n[last]
	var at [plan.MaxRank]int
	for d, row := last-1, lo; d >= 0; d-- {
		at[d] = row % r.n[d]
		row /= r.n[d]
	}
	ask := s.halt.Counter()
	var row resizedRow
	y, x := s.out.F32(), s.in[0].F32()
	for i := lo; i < hi; i++ {
		r.find(&row, at[:last])
		r.compute(y[i*n:(i+1)*n], x, &row)
		if ask.Stop(4*n*row.n + copyStep) {
			return
		}
		for d := last - 1; d >= 0; d-- {
			if at[d]++; at[d] < r.n[d] {
				break
			}
			at[d] = 0
		}
	}
}

// find is the neighbours of the row at a position of the axes before the last.
func (r *resizing) find(row *resizedRow, at []int) {
	row.n, row.base[0], row.w[0] = 1, 0, 1
	for d, i := range at {
		if r.off[d] == nil {
			for k := range row.n {
				row.base[k] += i * r.stride[d]
			}
			continue
		}
		off, w, had := r.off[d][i*r.taps:(i+1)*r.taps], r.weight[d][i*r.taps:], row.n
		for t := r.taps - 1; t >= 0; t-- {
			for k := range had {
				row.base[t*had+k], row.w[t*had+k] = row.base[k]+off[t], row.w[k]*w[t]
			}
		}
		row.n = had * r.taps
	}
}

// compute combines the neighbours of a row.
func (r *resizing) compute(y, x []float32, row *resizedRow) {
	last := max(r.rank-1, 0)
	off, stride := r.off[last], r.stride[last]
	switch {
	case off == nil && row.n == 1 && stride == 1:
		copy(y, x[row.base[0]:])
	case off == nil && row.n == 4 && stride == 1:
		resizeFour(y, x, row)
	case off == nil:
		for i := range y {
			sum := float32(0)
			for k := range row.n {
				sum += row.w[k] * x[row.base[k]+i*stride]
			}
			y[i] = sum
		}
	case r.taps == 1: // nearest
		x = x[row.base[0]:]
		for i, at := range off[:len(y)] {
			y[i] = x[at]
		}
	case r.taps == 2 && row.n == 2:
		r.linearRow(y, x[row.base[0]:], x[row.base[1]:], row.w[0], row.w[1])
	default:
		r.tapped(y, x, row)
	}
}

// resizeFour is the sum of four weighted rows.
func resizeFour(y, x []float32, row *resizedRow) {
	n := len(y)
	a, b, c, d := x[row.base[0]:][:n], x[row.base[1]:][:n], x[row.base[2]:][:n], x[row.base[3]:][:n]
	wa, wb, wc, wd := row.w[0], row.w[1], row.w[2], row.w[3]
	for i := range y {
		y[i] = wa*a[i] + wb*b[i] + (wc*c[i] + wd*d[i])
	}
}

// linearRow interpolates between two rows, each between two elements.
func (r *resizing) linearRow(y, a, b []float32, wa, wb float32) {
	last := r.rank - 1
	off, w := r.off[last][:2*len(y)], r.weight[last][:2*len(y)]
	for i := range y {
		j, k, wj, wk := off[2*i], off[2*i+1], w[2*i], w[2*i+1]
		y[i] = wj*(wa*a[j]+wb*b[j]) + wk*(wa*a[k]+wb*b[k])
	}
}

// tapped combines any number of neighbours along the last axis, too.
func (r *resizing) tapped(y, x []float32, row *resizedRow) {
	last := max(r.rank-1, 0)
	for i := range y {
		sum := float32(0)
		for t := range r.taps {
			off, w := r.off[last][i*r.taps+t], r.weight[last][i*r.taps+t]
			for k := range row.n {
				sum += w * row.w[k] * x[row.base[k]+off]
			}
		}
		y[i] = sum
	}
}
