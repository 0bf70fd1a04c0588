package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// softmaxOfExp makes a quotient of exponentials and their sum over an axis
// softmax: one exponential and one reduction fewer. A maximum that is taken out
// before is softmax's own.
func softmaxOfExp(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	p := productOf(n)
	for i, s := range p.factors {
		if s.power != -1 || !s.n.is("reduce") {
			continue
		}
		e := s.n.in[0]
		j := p.index(e, 1)
		if !e.is("exp") || j < 0 || !e.spec.Shape.Equal(n.spec.Shape) {
			continue
		}
		r, ok := reductionOf(s.n)
		if !ok || r.kind != "sum" {
			return b.refuse("softmax", "the sum is not over one axis")
		}
		whole := around(n, e, s.n)
		if i, j = whole.index(s.n, -1), whole.index(e, 1); i < 0 || j < 0 {
			continue
		}
		return b.times(b.softmax(unshifted(e.in[0], r.axis), r.axis), whole.without(i, j)), true
	}
	return nil, false
}

// softmax is over an axis that counts from the first.
func (b *builder) softmax(x *node, axis int) *node { return b.make(op.Softmax{Axis: axis}, x) }

// unshifted is u without the maximum over an axis that was taken out, x for x -
// max(x): softmax does not depend on it.
func unshifted(u *node, axis int) *node {
	for _, t := range sumOf(u).terms {
		o, ok := t.n.op.(op.Reduce)
		if !ok || o.Kind != "max" || !o.Keep || t.coeff != -1 {
			continue
		}
		x := t.n.in[0]
		s := sumOf(u, x)
		overAxis := slices.ContainsFunc(o.Axes, func(a int) bool { return wrap(a, x) == axis })
		if overAxis && s.equal(sum{terms: []term{{x, 1}, {t.n, -1}}}) {
			return x
		}
	}
	return u
}

// lastAxis counts the last axis of a softmax or log-softmax from the end and any
// other from the first: the number of spellings of an axis falls.
func lastAxis(b *builder, n *node) (*node, bool) {
	rank := n.rank()
	axis := func(a int) int {
		if a = wrap(a, n); a == rank-1 {
			return -1
		}
		return a
	}
	switch o := n.op.(type) {
	case op.Softmax:
		if axis(o.Axis) != o.Axis {
			return b.make(op.Softmax{Axis: axis(o.Axis)}, n.in[0]), true
		}
	case op.LogSoftmax:
		if axis(o.Axis) != o.Axis {
			return b.make(op.LogSoftmax{Axis: axis(o.Axis)}, n.in[0]), true
		}
	}
	return nil, false
}

// transposedSoftmax makes a softmax between a transpose and its inverse one over
// another axis: two transposes fewer.
func transposedSoftmax(b *builder, n *node) (*node, bool) {
	outer := n.op.(op.Transpose)
	s := n.in[0]
	if !s.is("softmax") && !s.is("log_softmax") || b.wanted(s) {
		return nil, false
	}
	inner, ok := s.in[0].op.(op.Transpose)
	if !ok {
		return nil, false
	}
	for i, p := range outer.Perm {
		if inner.Perm[p] != i {
			return nil, false
		}
	}
	x := s.in[0].in[0]
	switch o := s.op.(type) {
	case op.Softmax:
		return b.softmax(x, inner.Perm[wrap(o.Axis, s)]), true
	case op.LogSoftmax:
		return b.make(op.LogSoftmax{Axis: inner.Perm[wrap(o.Axis, s)]}, x), true
	}
	return nil, false
}
