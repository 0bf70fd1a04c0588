package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// switchOf takes where(cond, 0, fill) and where(cond, fill, 0) apart, with a
// fill that absorbs scores, also as arithmetic on a bool.
func (b *builder) switchOf(n *node, times float64) (cond *node, fill float64, negated, ok bool) {
	cond, yes, no, ok := b.twoValued(n)
	yes, no = yes*times, no*times
	switch {
	case !ok:
		return nil, 0, false, false
	case yes == 0 && no <= absorbingFill:
		return cond, no, false, true
	case no == 0 && yes <= absorbingFill:
		return cond, yes, true, true
	}
	return nil, 0, false, false
}

// twoValued takes a value apart that is one number where cond holds and another
// one elsewhere.
func (b *builder) twoValued(n *node) (cond *node, yes, no float64, ok bool) {
	if n.op == nil {
		return nil, 0, 0, false
	}
	if n.is("cast") {
		if n.in[0].spec.DType == plan.Bool {
			return n.in[0], 1, 0, true
		}
		cond, yes, no, ok = b.twoValued(n.in[0])
		if n.spec.DType == plan.Bool {
			yes, no = truth(yes != 0), truth(no != 0)
		}
		return cond, yes, no, ok
	}
	if n.is("where") {
		yes, ok = n.in[1].number()
		no, ok2 := n.in[2].number()
		if n.in[0].is("cast") && n.in[0].in[0] == n.in[2] {
			no, ok2 = 0, true // chosen where it is false, which is zero
		}
		return n.in[0], yes, no, ok && ok2
	}
	if x, ok := b.viewOf(n); ok {
		if cond, yes, no, ok = b.twoValued(x); !ok {
			return nil, 0, 0, false
		}
		cond, ok = b.viewed(cond, n)
		return cond, yes, no, ok
	}
	f := arithmetic[n.op.Name()]
	if f == nil || len(n.in) > 2 {
		return nil, 0, 0, false
	}
	if len(n.in) == 1 {
		if cond, yes, no, ok = b.twoValued(n.in[0]); !ok && n.is("not") {
			return n.in[0], 0, 1, true
		}
		return cond, f(yes, 0), f(no, 0), ok
	}
	if c, isNumber := n.in[1].number(); isNumber {
		cond, yes, no, ok = b.twoValued(n.in[0])
		return cond, f(yes, c), f(no, c), ok
	}
	if c, isNumber := n.in[0].number(); isNumber {
		cond, yes, no, ok = b.twoValued(n.in[1])
		return cond, f(c, yes), f(c, no), ok
	}
	return nil, 0, 0, false
}

// viewOf is the input of an operator that only moves elements.
func (b *builder) viewOf(n *node) (*node, bool) {
	switch n.op.(type) {
	case op.Reshape, op.Transpose, op.Expand, op.Slice:
		return n.in[0], true
	}
	return nil, false
}

// condition is n, or its negation, in as few steps from other values as
// possible: bool values that were cast to numbers and compared are themselves.
func (b *builder) condition(n *node, negated bool) *node {
	for {
		cond, yes, no, ok := b.twoValued(n)
		if !ok || cond == n || yes == no {
			break
		}
		n, negated = cond, negated != (yes == 0)
	}
	if negated {
		return b.not(n)
	}
	return n
}

// not is the negation of a bool value.
func (b *builder) not(n *node) *node {
	if n.is("not") {
		return n.in[0]
	}
	return b.make(op.Not(), n)
}
