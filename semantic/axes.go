package semantic

import (
	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// forward carries the map from t's input operand to t, through operators that
// treat rows independently: views, casts, broadcasting arithmetic, masks,
// slices, concatenations and normalisation of the last axis.
func forward(m axes.Map, t *lazy.Tensor, operand int) (axes.Map, bool) {
	in := t.In()[operand]
	switch o := t.Op().(type) {
	case op.Reshape:
		return m.Reshape(t.Shape())
	case op.Transpose:
		return m.Permute(o.Perm), true
	case op.Slice:
		axis := wrapAxis(o.Axis, in)
		if in.Dim(axis).Equal(t.Dim(axis)) {
			return m, true
		}
		return m.Resized(axis, t.Dim(axis)), true
	case op.Concat:
		if len(t.In()) == 1 {
			return m, true
		}
		axis := wrapAxis(o.Axis, in)
		return m.Resized(axis, t.Dim(axis)), true
	case op.WriteRows:
		axis := wrapAxis(o.Axis, t)
		if operand == 1 {
			m = m.Resized(axis, t.Dim(axis))
		}
		return m, operand < 2
	}
	if !rowwise(t, operand) && !is(t, "expand") {
		return nil, false
	}
	out := make(axes.Map, len(t.Shape()))
	skip := len(t.Shape()) - len(in.Shape())
	for i, d := range t.Shape() {
		switch {
		case i >= skip && in.Dim(i-skip).Equal(d):
			out[i] = m[i-skip]
		case !d.Is(1):
			out[i] = []axes.Part{{Axis: axes.Foreign, Stride: plan.C(1), Size: d}}
		}
	}
	return out, true
}

// backward carries the map from t to its input operand, the reverse of
// forward.
func backward(m axes.Map, t *lazy.Tensor, operand int) (axes.Map, bool) {
	in := t.In()[operand]
	switch o := t.Op().(type) {
	case op.Reshape:
		return m.Reshape(in.Shape())
	case op.Transpose:
		inverse := make([]int, len(o.Perm))
		for i, p := range o.Perm {
			inverse[p] = i
		}
		return m.Permute(inverse), true
	case op.Slice:
		axis := wrapAxis(o.Axis, in)
		if in.Dim(axis).Equal(t.Dim(axis)) {
			return m, true
		}
		return m.Resized(axis, in.Dim(axis)), true
	case op.Concat:
		if len(t.In()) == 1 {
			return m, true
		}
		axis := wrapAxis(o.Axis, in)
		return m.Resized(axis, in.Dim(axis)), true
	}
	if !rowwise(t, operand) && !is(t, "expand") {
		return nil, false
	}
	out := make(axes.Map, len(in.Shape()))
	skip := len(t.Shape()) - len(in.Shape())
	for i, d := range in.Shape() {
		if d.Equal(t.Dim(i + skip)) {
			out[i] = m[i+skip]
		}
	}
	return out, true
}

func wrapAxis(axis int, t *lazy.Tensor) int {
	if axis < 0 {
		axis += len(t.Shape())
	}
	return axis
}

// rowwise reports whether element i of t comes from element i of the input,
// whatever the operator combines it with.
func rowwise(t *lazy.Tensor, operand int) bool {
	if t.Op() == nil {
		return false
	}
	traits := lazygraph.Op(t).Traits()
	return traits.Pointwise || traits.Aligned && operand == 0
}

// isView reports whether t only exposes the memory of its first input.
func isView(t *lazy.Tensor) bool {
	_, ok := t.Op().(op.Viewer)
	return ok
}
