package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// piece is one of the two elements of every pair: a value of half the width.
type piece struct {
	x      *node // of which it is a slice
	p      pairs
	second bool     // of interleaved pairs
	start  plan.Dim // where it begins in x, of halves
	half   plan.Dim // the number of pairs
}

// pieceOf is n as a piece. A slice is one half of pairs of halves if another slice
// is the other.
func (b *builder) pieceOf(n *node) (piece, bool) {
	if s, ok := n.op.(op.Slice); ok && wrap(s.Axis, n) == n.rank()-1 && !ofPairs(n) {
		return piece{x: n.in[0], p: halved, start: s.Start, half: s.Stop.Sub(s.Start)}, true
	}
	s := n
	if n.is("reshape") {
		s = n.in[0]
	}
	if !ofPairs(s) {
		return piece{}, false
	}
	o := s.op.(op.Slice)
	// n is [..., half] of the pairs [..., half, 2], or [..., half, 1].
	half, lead := s.dim(-2), n.spec.Shape
	if s == n {
		lead = lead[:n.rank()-1]
	}
	if at, ok := matchAxes(s.spec.Shape[:s.rank()-1], lead, s.rank()-2); !ok || at != len(lead)-1 {
		return piece{}, false
	}
	x := b.reshape(s.in[0], withAxis(lead, len(lead)-1, half.Scale(2))...)
	return piece{x: x, p: interleaved, second: o.Start.Is(1), half: half}, x != bad
}

// before reports whether p and q are the first and the second elements of the
// same pairs.
func (p piece) before(q piece) bool {
	if p.x != q.x || p.p != q.p || !p.half.Equal(q.half) {
		return false
	}
	if p.p == interleaved {
		return !p.second && q.second
	}
	return p.start.Add(p.half).Equal(q.start)
}

// whole is the value of the pairs whose first elements p is, with what follows
// them up to stop; of interleaved pairs it is all of it.
func (b *builder) whole(p piece, stop plan.Dim) *node {
	if p.p == interleaved {
		return p.x
	}
	return b.make(op.Slice{Axis: p.x.rank() - 1, Start: p.start, Stop: stop}, p.x)
}

// end is where the pairs end whose first elements p is.
func (p piece) end() plan.Dim { return p.start.Add(p.half.Scale(2)) }

// ofPairs reports whether n is one element of an axis that a view splits into
// pairs.
func ofPairs(n *node) bool {
	s, ok := n.op.(op.Slice)
	if !ok || n.rank() < 2 || wrap(s.Axis, n) != n.rank()-1 {
		return false
	}
	v := n.in[0]
	return v.dim(-1).Is(2) && n.dim(-1).Is(1) && (v.is("reshape") || v.is("transpose"))
}

// turned is one element of each pair after a rotation: a multiple of the one
// piece plus a multiple of the other.
type turned struct {
	first, second piece
	cos, sin      *node   // what the element's own piece and the other are multiplied by
	sign          float64 // of the sine
}

// turnedOf is n as the first or the second element.
func (b *builder) turnedOf(n *node, second bool) (t turned, ok bool) {
	s := sumOf(n)
	if len(s.terms) != 2 || s.constant != 0 {
		return t, false
	}
	var by [2]*node
	var sign [2]float64
	var ps [2]piece
	for i, m := range s.terms {
		p := productOf(m.n)
		found := false
		for j, f := range p.factors {
			if ps[i], found = b.pieceOf(f.n); found && f.power == 1 {
				rest := p.without(j)
				rest.scale *= m.coeff
				by[i], sign[i], found = b.factorOf(rest)
				break
			}
		}
		if !found {
			return t, false
		}
	}
	first := 0
	if ps[1].before(ps[0]) {
		first = 1
	} else if !ps[0].before(ps[1]) {
		return t, false
	}
	own := first
	if second {
		own = 1 - first
	}
	if sign[own] != 1 {
		return t, false
	}
	return turned{ps[first], ps[1-first], by[own], by[1-own], sign[1-own]}, true
}

// factorOf makes a value of a product, and its sign.
func (b *builder) factorOf(p product) (n *node, sign float64, ok bool) {
	sign = 1
	if p.scale < 0 {
		p.scale, sign = -p.scale, -1
	}
	if len(p.factors) == 0 || p.factors[0].power != 1 {
		return nil, 0, false
	}
	first := p.factors[0].n
	p.factors = p.factors[1:]
	n = b.times(first, p)
	return n, sign, n != bad
}
