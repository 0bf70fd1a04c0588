package normal

import (
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// term is a value times a constant.
type term struct {
	n     *node
	coeff float64
}

// sum is a constant plus multiples of values.
type sum struct {
	constant float64
	terms    []term
	whole    []*node // not taken apart
	failed   bool
}

// sumOf takes a value apart into terms, through sums, differences, signs and
// constant factors. Values in whole stay whole. A value that is no sum is one
// term.
func sumOf(n *node, whole ...*node) sum {
	s := sum{whole: whole}
	s.take(n, 1, maxDepth)
	if s.failed || math.IsInf(s.constant, 0) || math.IsNaN(s.constant) {
		return sum{terms: []term{{n, 1}}}
	}
	return s
}

// take adds a multiple of n.
func (s *sum) take(n *node, coeff float64, depth int) {
	if v, ok := n.scalar(); ok {
		s.constant += coeff * float64(v)
		return
	}
	for !slices.Contains(s.whole, n) {
		x, c := peelOne(n)
		if x == n {
			break
		}
		n, coeff = x, coeff*c
	}
	if depth > 0 && !slices.Contains(s.whole, n) && n.op != nil && n.spec.DType == plan.F32 {
		switch n.op.Name() {
		case "add", "bias":
			s.take(n.in[0], coeff, depth-1)
			s.take(n.in[1], coeff, depth-1)
			return
		case "sub":
			s.take(n.in[0], coeff, depth-1)
			s.take(n.in[1], -coeff, depth-1)
			return
		}
	}
	s.add(n, coeff)
}

func (s *sum) add(n *node, coeff float64) {
	for i, t := range s.terms {
		if t.n == n {
			s.terms[i].coeff += coeff
			return
		}
	}
	if s.failed = s.failed || len(s.terms) == maxTerms; !s.failed {
		s.terms = append(s.terms, term{n, coeff})
	}
}

// only is the value of a sum with one term, whose constant may be anything.
func (s sum) only() (term, bool) {
	if len(s.terms) != 1 {
		return term{}, false
	}
	return s.terms[0], true
}

// without is s less some of its terms.
func (s sum) without(is ...int) sum {
	r := sum{constant: s.constant}
	for i, t := range s.terms {
		if !slices.Contains(is, i) {
			r.terms = append(r.terms, t)
		}
	}
	return r
}

// equal reports whether two sums are the same, term by term.
func (s sum) equal(o sum) bool {
	if len(s.terms) != len(o.terms) || s.constant != o.constant {
		return false
	}
	for _, t := range s.terms {
		if !slices.Contains(o.terms, t) {
			return false
		}
	}
	return true
}

// plus makes x plus a sum.
func (b *builder) plus(x *node, s sum) *node {
	for _, t := range s.terms {
		switch {
		case near(t.coeff, -1):
			x = b.make(op.Sub(), x, t.n)
		default:
			x = b.make(op.Add(), x, b.scale(t.n, rounded(t.coeff)))
		}
	}
	if s.constant == 0 {
		return x
	}
	return b.make(op.Add(), x, b.constant(float32(s.constant), x))
}
