package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// concatOfSlices leaves a concat of one value out and joins slices of one value
// that are next to each other: fewer operands.
func concatOfSlices(b *builder, n *node) (*node, bool) {
	if len(n.in) == 1 {
		return n.in[0], true
	}
	if runLength(n.in) > 1 {
		return nil, false // copies of each one, see concatOfCopies
	}
	axis := wrap(n.op.(op.Concat).Axis, n)
	var in []*node
	for _, x := range n.in {
		if k := len(in) - 1; k >= 0 {
			if j, ok := b.joined(in[k], x, axis); ok {
				in[k] = j
				continue
			}
		}
		in = append(in, x)
	}
	if len(in) == len(n.in) {
		return nil, false
	}
	return b.make(n.op, in...), true
}

// joined is one slice for two of one value, the second after the first. That
// the parts are not negative is known, since the whole does not ask for it.
func (b *builder) joined(x, y *node, axis int) (*node, bool) {
	s, ok := x.op.(op.Slice)
	t, too := y.op.(op.Slice)
	if !ok || !too || x.in[0] != y.in[0] || wrap(s.Axis, x) != axis || wrap(t.Axis, y) != axis || !s.Stop.Equal(t.Start) {
		return nil, false
	}
	if !nonNegative(s.Stop.Sub(s.Start)) || !nonNegative(t.Stop.Sub(t.Start)) {
		return nil, false
	}
	return b.make(op.Slice{Axis: axis, Start: s.Start, Stop: t.Stop}, x.in[0]), true
}

// sliceOfConcat takes a slice from the operands that it is of: fewer nodes, or
// fewer operands of a concat. Which these are is known at every size.
func sliceOfConcat(b *builder, n *node) (*node, bool) {
	o, x := n.op.(op.Slice), n.in[0]
	if !x.is("concat") {
		return nil, false
	}
	axis := wrap(o.Axis, n)
	if wrap(x.op.(op.Concat).Axis, x) != axis {
		return nil, false
	}
	first, last := -1, -1
	at := plan.C(0)
	for i, y := range x.in {
		end := at.Add(y.dim(axis))
		if nonNegative(o.Start.Sub(at)) && nonNegative(end.Sub(o.Stop)) && nonNegative(o.Stop.Sub(o.Start)) {
			return b.make(op.Slice{Axis: axis, Start: o.Start.Sub(at), Stop: o.Stop.Sub(at)}, y), true
		}
		if first < 0 && o.Start.Equal(at) {
			first = i
		}
		if first >= 0 && o.Stop.Equal(end) {
			last = i
		}
		at = end
	}
	if last < 0 || last-first+1 == len(x.in) {
		return nil, false
	}
	return b.make(op.Concat{Axis: axis}, x.in[first:last+1]...), true
}
