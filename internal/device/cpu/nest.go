package cpu

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// nestArrays is the number of arrays of a nest: an output and its inputs.
const nestArrays = 1 + program.MaxOperands

// nest is the loops over the elements of an output and of inputs that broadcast
// to it, in the order of the output's memory. Axes that all arrays pass without
// a gap are one loop; the last loop is the inner one.
type nest struct {
	rank    int // at least one
	total   int // elements
	n       [plan.MaxRank]int
	strides [nestArrays][plan.MaxRank]int // in elements; 0 where an input is repeated
	full    [nestArrays]bool              // the array is stored in the order of the loops without gaps
	single  [nestArrays]bool              // it is the same in each inner loop
	period  [nestArrays]bool              // it is the same in each inner loop of the one around it, which is long
}

// set makes the loops of out and in.
func (l *nest) set(out *op.Array, in ...*op.Array) {
	l.rank, l.total = 0, 1
	for d, n := range out.Shape {
		l.total *= n
		if n == 1 {
			continue
		}
		i := l.rank
		for ; i > 0 && l.strides[0][i-1] < out.Strides[d]; i-- {
			l.n[i] = l.n[i-1]
			for k := range len(in) + 1 {
				l.strides[k][i] = l.strides[k][i-1]
			}
		}
		l.n[i], l.strides[0][i] = n, out.Strides[d]
		for k, a := range in {
			l.strides[k+1][i] = 0
			if e := d - len(out.Shape) + len(a.Shape); e >= 0 && a.Shape[e] != 1 {
				l.strides[k+1][i] = a.Strides[e]
			}
		}
		l.rank++
	}
	if l.rank == 0 {
		l.rank, l.n[0] = 1, 1
		for k := range len(in) + 1 {
			l.strides[k][0] = 1
		}
	}
	l.join(len(in) + 1)
	for k := range len(in) + 1 {
		l.full[k], l.single[k] = true, true
		for d, n := l.rank-1, 1; d >= 0; d-- {
			l.full[k] = l.full[k] && l.strides[k][d] == n
			l.single[k] = l.single[k] && (d == l.rank-1 || l.strides[k][d] == 0)
			n *= l.n[d]
		}
		l.period[k] = l.rank > 1 && !l.single[k] && l.strides[k][l.rank-2] == 0 && l.stretch() >= shortLoop
	}
}

// stretch is the number of elements of the two inner loops.
func (l *nest) stretch() int { return l.n[l.rank-1] * l.n[l.rank-2] }

// join makes one loop of neighbours that all arrays pass without a gap.
func (l *nest) join(arrays int) {
	to := 0
	for d := 1; d < l.rank; d++ {
		n, joined := l.n[d], true
		for k := range arrays {
			joined = joined && l.strides[k][to] == l.strides[k][d]*n
		}
		if joined {
			n *= l.n[to]
		} else {
			to++
		}
		l.n[to] = n
		for k := range arrays {
			l.strides[k][to] = l.strides[k][d]
		}
	}
	l.rank = to + 1
}

// place is a position in a nest: element at of the inner loop whose first
// elements are at off.
type place struct {
	at  int
	idx [plan.MaxRank]int
	off [nestArrays]int
}

// find is the place of element e.
func (l *nest) find(e int) (p place) {
	last := l.rank - 1
	p.at = e % l.n[last]
	e /= l.n[last]
	for d := last - 1; d >= 0; d-- {
		i := e % l.n[d]
		e /= l.n[d]
		p.idx[d] = i
		for k := range p.off {
			p.off[k] += i * l.strides[k][d]
		}
	}
	return p
}

// skip moves n inner loops further, within the loop around them.
func (l *nest) skip(p *place, n int) {
	p.idx[l.rank-2] += n
	for k := range p.off {
		p.off[k] += n * l.strides[k][l.rank-2]
	}
}

// next moves to the beginning of the next inner loop.
func (l *nest) next(p *place) {
	p.at = 0
	for d := l.rank - 2; d >= 0; d-- {
		p.idx[d]++
		for k := range p.off {
			p.off[k] += l.strides[k][d]
		}
		if p.idx[d] < l.n[d] {
			return
		}
		for k := range p.off {
			p.off[k] -= l.strides[k][d] * l.n[d]
		}
		p.idx[d] = 0
	}
}
