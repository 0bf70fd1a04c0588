package cpu

import (
	"math"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
)

// runArgMax finds the first greatest element along an axis, or the first least
// one.
func runArgMax(s *step) error {
	if s.out.Len() == 0 {
		return nil
	}
	s.setArgMax()
	r := s.reducing
	units := s.out.Len()
	if r.columns > 1 {
		n, _ := r.kept.inner()
		units = r.kept.total / n * r.groups
	}
	s.pool.run(s.job, s, units, max(1, grainElems/max(1, r.over.total*r.columns)), argMaxChunk)
	return nil
}

func (s *step) setArgMax() {
	x, r := s.in[0], s.reducing
	axis, least := 0, false
	switch o := s.op.(type) {
	case op.ArgMax:
		axis = o.Axis
	case op.ArgMin:
		axis, least = o.Axis, true
	}
	if axis < 0 {
		axis += len(x.Shape)
	}
	r.kept.reset()
	r.over.reset()
	for d, n := range x.Shape {
		if d == axis {
			r.over.add(n, x.Strides[d])
		} else {
			r.kept.add(n, x.Strides[d])
		}
	}
	if r.kind = "max"; least {
		r.kind = "min"
	}
	r.columns, r.groups = 1, 1
	n, stride := r.kept.inner()
	if _, st := r.over.inner(); r.kept.rank > 0 && stride == 1 && n >= leastColumns && st != 1 {
		r.columns = min(reduceColumns, n)
		r.groups = (n + r.columns - 1) / r.columns
	}
}

func argMaxChunk(s *step, lo, hi int) {
	r := s.reducing
	temp, err := s.work.get(reduceTemp)
	if err != nil {
		panic(err)
	}
	defer s.work.put(temp)
	ask := s.halt.Counter()
	for ; lo < hi; lo++ {
		if r.columns > 1 {
			s.argMaxGroup(lo, elems[float32](temp))
		} else {
			s.out.I32()[lo] = int32(s.argMaxOf(lo, temp))
		}
		if ask.Stop(r.over.total*r.columns + copyStep) {
			return
		}
	}
}

// argMaxOf is the index of result i.
func (s *step) argMaxOf(i int, temp []byte) int {
	r, x := s.reducing, s.in[0].F32()[s.reducing.kept.offset(i):]
	n, best, at := r.over.total, float32(math.Inf(-1)), 0
	_, stride := r.over.inner()
	if stride == 1 && r.kind == "max" {
		return max(kernels.ArgMax(x[:n], s.halt), 0)
	}
	ask := s.halt.Counter()
	for b := 0; b < n; b += reduceBlock {
		block := elems[float32](temp)[:min(reduceBlock, n-b)]
		gatherOf(block, x[b*stride:], stride)
		if r.kind == "min" {
			kernels.Neg(block, block)
		}
		if j := kernels.ArgMax(block, nil); block[j] > best {
			best, at = block[j], b+j
		}
		if ask.Stop(len(block)) {
			return 0
		}
	}
	return at
}

// argMaxGroup finds the indices of a group of results that are side by side.
func (s *step) argMaxGroup(unit int, best []float32) {
	r := s.reducing
	n, _ := r.kept.inner()
	first := unit/r.groups*n + unit%r.groups*r.columns
	w := min(r.columns, n-unit%r.groups*r.columns)
	at := s.out.I32()[first : first+w]
	x, least := s.in[0].F32()[r.kept.offset(first):], r.kind == "min"
	best = best[:w]
	clear(at)
	for j := range best {
		best[j] = float32(math.Inf(-1))
	}
	ask := s.halt.Counter()
	for i := range r.over.total {
		for j, v := range x[r.over.offset(i):][:w] {
			if least {
				v = -v
			}
			if v > best[j] {
				best[j], at[j] = v, int32(i)
			}
		}
		if ask.Stop(w) {
			return
		}
	}
}
