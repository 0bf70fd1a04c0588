package cpu

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/transport/plan"
)

// sumLanes is the number of partial sums of kernels.Sum.
const sumLanes = 16

// reduceGroup reduces the segments from..to of a group of results that are side
// by side, row by row.
func (s *step) reduceGroup(unit, from, to int, temp []byte) {
	r := s.reducing
	n, _ := r.kept.inner()
	first := unit/r.groups*n + unit%r.groups*r.columns
	w := min(r.columns, n-unit%r.groups*r.columns)
	off := r.kept.offset(first)
	switch s.out.DType {
	case plan.F32:
		switch r.kind {
		case "max", "min":
			s.foldColumns(first, w, off, from, to, temp)
		case "prod":
			s.multiplyColumns(first, w, off, from, to, temp)
		default:
			s.sumColumns(first, w, off, from, to, temp)
		}
	case plan.I32:
		foldInts[int32](s, kernels.PairI32(pairOf[r.kind]), first, w, off)
	default:
		foldInts[int64](s, kernels.PairI64(pairOf[r.kind]), first, w, off)
	}
}

// pairOf is the operator of two elements of a kind of reduction.
var pairOf = map[string]string{"sum": "add", "max": "max", "min": "min", "prod": "mul"}

// rowOf is the elements of row i, in the order of the reduction. It collects them in
// temp if they are apart.
func (s *step) rowOf(off, i, w int, temp []byte) []byte {
	size := s.out.DType.Size()
	at := (off + s.reducing.over.offset(i)) * size
	_, stride := s.reducing.kept.inner()
	if stride == 1 {
		return s.in[0].Data[at : at+w*size]
	}
	row := temp[reduceTemp-8*reduceColumns:][:w*size] // behind sums and totals
	gather(row, s.in[0].Data[at:], stride, size)
	return row
}

// sumColumns adds in the order of kernels.Sum in each column.
func (s *step) sumColumns(first, w, off, from, to int, temp []byte) {
	r := s.reducing
	sums, totals := elems[float32](temp[:sumLanes*4*reduceColumns]), elems[float64](temp[sumLanes*4*reduceColumns:])
	part, total := totals[:w], totals[reduceColumns:][:w]
	clear(total)
	ask := s.halt.Counter()
	for seg := from; seg < to; seg++ {
		clear(part)
		for b := seg * reduceSegment; b < min(r.over.total, (seg+1)*reduceSegment); b += reduceBlock {
			n := min(reduceBlock, r.over.total-b)
			lanes := min(n, sumLanes)
			clear(sums[:lanes*w])
			for i := range n {
				lane := sums[i%sumLanes*w:][:w]
				if kernels.Add(lane, lane, elems[float32](s.rowOf(off, b+i, w, temp))); ask.Stop(w) {
					return
				}
			}
			// Lanes without elements are zeros, which add nothing.
			for half := sumLanes / 2; half > 0; half /= 2 {
				for l := half; l < min(2*half, lanes); l++ {
					kernels.Add(sums[(l-half)*w:][:w], sums[(l-half)*w:][:w], sums[l*w:][:w])
				}
			}
			for j := range part {
				part[j] += float64(sums[j])
			}
		}
		for j := range total {
			total[j] += part[j]
		}
	}
	for j, t := range total {
		s.store(first+j, from, t)
	}
}

// foldColumns is the largest or the smallest of each column.
func (s *step) foldColumns(first, w, off, from, to int, temp []byte) {
	r := s.reducing
	acc, fold := elems[float32](temp)[:w], kernels.PairF32(r.kind)
	for j := range acc {
		acc[j] = float32(r.first())
	}
	ask := s.halt.Counter()
	for i := from * reduceSegment; i < min(r.over.total, to*reduceSegment); i++ {
		if fold(acc, acc, elems[float32](s.rowOf(off, i, w, temp))); ask.Stop(w) {
			return
		}
	}
	for j, t := range acc {
		s.store(first+j, from, float64(t))
	}
}

// multiplyColumns is the product of each column, in the order of reduceFloats.
func (s *step) multiplyColumns(first, w, off, from, to int, temp []byte) {
	r, products := s.reducing, elems[float64](temp)
	block, part, total := products[:w], products[reduceColumns:][:w], products[2*reduceColumns:][:w]
	ones(total)
	ask := s.halt.Counter()
	for seg := from; seg < to; seg++ {
		ones(part)
		for b := seg * reduceSegment; b < min(r.over.total, (seg+1)*reduceSegment); b += reduceBlock {
			ones(block)
			for i := range min(reduceBlock, r.over.total-b) {
				for j, x := range elems[float32](s.rowOf(off, b+i, w, temp)) {
					block[j] *= float64(x)
				}
				if ask.Stop(w) {
					return
				}
			}
			for j := range part {
				part[j] *= block[j]
			}
		}
		for j := range total {
			total[j] *= part[j]
		}
	}
	for j, t := range total {
		s.store(first+j, from, t)
	}
}

func ones(v []float64) {
	for i := range v {
		v[i] = 1
	}
}

func foldInts[T int32 | int64](s *step, fold func(dst, a, b []T), first, w, off int) {
	r := s.reducing
	acc := elems[T](s.out.Data)[first : first+w]
	for j := range acc {
		acc[j] = firstInt[T](r.kind)
	}
	ask := s.halt.Counter()
	for i := range r.over.total {
		if fold(acc, acc, elems[T](s.rowOf(off, i, w, nil))); ask.Stop(w) {
			return
		}
	}
}
