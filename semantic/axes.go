package semantic

import (
	"slices"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// axisPart is a factor of an axis of some tensor of origin: size positions,
// stride apart, of the axis with index axis. A whole axis has stride 1 and the
// size of the axis. Irrelevant parts have axis foreign.
type axisPart struct {
	axis         int
	stride, size plan.Dim
}

const foreign = -1

// axesMap records which parts of the origin's axes make up each axis of a
// tensor, outermost part first. Axes of size one have no parts. It follows rows
// through any chain of reshapes and transposes without loss.
type axesMap [][]axisPart

func newAxes(s plan.Shape) axesMap {
	m := make(axesMap, len(s))
	for i, d := range s {
		if !d.Is(1) {
			m[i] = []axisPart{{i, plan.C(1), d}}
		}
	}
	return m
}

// sole is the one part that axis i consists of, with adjacent parts merged.
func (m axesMap) sole(i int) (axisPart, bool) {
	if i < 0 || i >= len(m) {
		return axisPart{}, false
	}
	g := joinParts(m[i])
	if len(g) != 1 {
		return axisPart{}, false
	}
	return g[0], true
}

// is reports whether axis i is exactly the part of the origin's axis.
func (m axesMap) is(i, axis int) bool {
	p, ok := m.sole(i)
	return ok && p.axis == axis && p.stride.Is(1)
}

// has reports whether any axis still contains a part of the origin's axis.
func (m axesMap) has(axis int) bool {
	for _, g := range m {
		if slices.ContainsFunc(g, func(p axisPart) bool { return p.axis == axis }) {
			return true
		}
	}
	return false
}

func joinParts(g []axisPart) []axisPart {
	var out []axisPart
	for _, p := range g {
		if n := len(out); n > 0 && p.axis != foreign && out[n-1].axis == p.axis && out[n-1].stride.Equal(p.stride.Mul(p.size)) {
			out[n-1] = axisPart{p.axis, p.stride, out[n-1].size.Mul(p.size)}
			continue
		}
		out = append(out, p)
	}
	return out
}

// reshape regroups the parts, in row-major order, into the axes of shape to. It
// works in both directions: it can also express the parts of a reshape's output
// on its input.
func (m axesMap) reshape(to plan.Shape) (axesMap, bool) {
	var parts []axisPart
	for _, g := range m {
		parts = append(parts, g...)
	}
	out := make(axesMap, len(to))
	var dims []int
	for i, d := range to {
		if !d.Is(1) {
			dims = append(dims, i)
		}
	}
	for len(parts) > 0 || len(dims) > 0 {
		np, nd, ok := alignParts(parts, dims, to)
		if !ok || !fillAxes(out, parts[:np], dims[:nd], to) {
			return nil, false
		}
		parts, dims = parts[np:], dims[nd:]
	}
	return out, true
}

// alignParts finds the fewest leading parts and dimensions of equal product.
func alignParts(parts []axisPart, dims []int, to plan.Shape) (np, nd int, ok bool) {
	pp := make([]plan.Dim, len(parts))
	acc := plan.C(1)
	for i, p := range parts {
		acc = acc.Mul(p.size)
		pp[i] = acc
	}
	acc = plan.C(1)
	best := len(parts) + len(dims) + 1
	for j, d := range dims {
		acc = acc.Mul(to[d])
		for i := range pp {
			if i+j < best && pp[i].Equal(acc) {
				best, np, nd = i+j, i+1, j+1
			}
		}
	}
	return np, nd, np > 0
}

// fillAxes distributes parts over dims of equal product and splits a part where
// a dimension ends within it.
func fillAxes(out axesMap, parts []axisPart, dims []int, to plan.Shape) bool {
	if len(dims) == 1 {
		out[dims[0]] = slices.Clone(parts)
		return true
	}
	if len(parts) == 1 {
		p, stride := parts[0], parts[0].stride
		for _, i := range slices.Backward(dims) {
			out[i] = []axisPart{{p.axis, stride, to[i]}}
			stride = stride.Mul(to[i])
		}
		return true
	}
	parts = slices.Clone(parts)
	for _, i := range dims {
		need := to[i]
		for !need.Is(1) {
			if len(parts) == 0 {
				return false
			}
			p := parts[0]
			if q, ok := need.Div(p.size); ok {
				out[i] = append(out[i], p)
				need, parts = q, parts[1:]
				continue
			}
			inner, ok := p.size.Div(need)
			if !ok {
				return false
			}
			out[i] = append(out[i], axisPart{p.axis, p.stride.Mul(inner), need})
			parts[0] = axisPart{p.axis, p.stride, inner}
			need = plan.C(1)
		}
	}
	return len(parts) == 0
}

// permute reorders the axes: axis i of the result is axis perm[i].
func (m axesMap) permute(perm []int) axesMap {
	out := make(axesMap, len(perm))
	for i, p := range perm {
		out[i] = m[p]
	}
	return out
}

// resized replaces the parts of one axis after a selection or concatenation of
// its positions. An axis that is exactly one part keeps this part with another
// size; anything else becomes foreign.
func (m axesMap) resized(axis int, size plan.Dim) axesMap {
	out := slices.Clone(m)
	part := axisPart{foreign, plan.C(1), size}
	if p, ok := m.sole(axis); ok && p.stride.Is(1) {
		part.axis = p.axis
	}
	out[axis] = nil
	if !size.Is(1) {
		out[axis] = []axisPart{part}
	}
	return out
}

// forward carries the map from t's input operand to t, through operators that
// treat rows independently: views, casts, broadcasting arithmetic, masks,
// slices, concatenations and normalisation of the last axis.
func (m axesMap) forward(t *lazy.Tensor, operand int) (axesMap, bool) {
	in := t.In()[operand]
	switch o := t.Op().(type) {
	case op.Reshape:
		return m.reshape(t.Shape())
	case op.Transpose:
		return m.permute(o.Perm), true
	case op.Slice:
		axis := wrapAxis(o.Axis, in)
		if in.Dim(axis).Equal(t.Dim(axis)) {
			return m, true
		}
		return m.resized(axis, t.Dim(axis)), true
	case op.Concat:
		if len(t.In()) == 1 {
			return m, true
		}
		axis := wrapAxis(o.Axis, in)
		return m.resized(axis, t.Dim(axis)), true
	}
	if !rowwise(t, operand) && !is(t, "expand") {
		return nil, false
	}
	out := make(axesMap, len(t.Shape()))
	skip := len(t.Shape()) - len(in.Shape())
	for i, d := range t.Shape() {
		switch {
		case i >= skip && in.Dim(i-skip).Equal(d):
			out[i] = m[i-skip]
		case !d.Is(1):
			out[i] = []axisPart{{foreign, plan.C(1), d}}
		}
	}
	return out, true
}

// backward carries the map from t to its input operand, the reverse of
// forward.
func (m axesMap) backward(t *lazy.Tensor, operand int) (axesMap, bool) {
	in := t.In()[operand]
	switch o := t.Op().(type) {
	case op.Reshape:
		return m.reshape(in.Shape())
	case op.Transpose:
		inverse := make([]int, len(o.Perm))
		for i, p := range o.Perm {
			inverse[p] = i
		}
		return m.permute(inverse), true
	case op.Slice:
		axis := wrapAxis(o.Axis, in)
		if in.Dim(axis).Equal(t.Dim(axis)) {
			return m, true
		}
		return m.resized(axis, in.Dim(axis)), true
	case op.Concat:
		if len(t.In()) == 1 {
			return m, true
		}
		axis := wrapAxis(o.Axis, in)
		return m.resized(axis, in.Dim(axis)), true
	}
	if !rowwise(t, operand) && !is(t, "expand") {
		return nil, false
	}
	out := make(axesMap, len(in.Shape()))
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
