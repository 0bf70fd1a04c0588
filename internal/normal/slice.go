package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// sliceOfSlice leaves a slice of everything out, and makes one of two along the
// same axis: one node fewer. The bounds of the outer one are known to fit into
// the inner one, whose own are checked when sizes are bound.
func sliceOfSlice(b *builder, n *node) (*node, bool) {
	o := n.op.(op.Slice)
	x := n.in[0]
	axis := wrap(o.Axis, x)
	if o.Start.Is(0) && o.Stop.Equal(x.dim(axis)) {
		return x, true
	}
	inner, ok := x.op.(op.Slice)
	if !ok || wrap(inner.Axis, x) != axis || !nonNegative(o.Start) || !nonNegative(x.dim(axis).Sub(o.Stop)) || !nonNegative(o.Stop.Sub(o.Start)) {
		return nil, false
	}
	// The inner slice's own conditions hold if the outer slice's do: its start
	// is not negative and its end is within the axis.
	if !nonNegative(inner.Start) || !x.in[0].dim(axis).Equal(inner.Stop) && !nonNegative(x.in[0].dim(axis).Sub(inner.Stop)) {
		return nil, false
	}
	return b.make(op.Slice{Axis: axis, Start: inner.Start.Add(o.Start), Stop: inner.Start.Add(o.Stop)}, x.in[0]), true
}

// wrap is an axis counted from the first.
func wrap(axis int, n *node) int {
	if axis < 0 {
		axis += n.rank()
	}
	return axis
}

// nonNegative reports whether d is never negative, whatever its symbols are bound to.
func nonNegative(d plan.Dim) bool {
	ok := d.Err() == nil
	d.Terms(func(coeff int64, _ []string) { ok = ok && coeff >= 0 })
	return ok
}
