// Package axes follows the axes of a tensor through reshapes and transposes.
package axes

import (
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// Part is a factor of an axis of some tensor of origin: size positions, stride
// apart, of the axis with index Axis. A whole axis has stride 1 and the size of
// the axis. Irrelevant parts have axis [Foreign].
type Part struct {
	Axis         int
	Stride, Size plan.Dim
}

// Foreign is the axis of parts that do not come from the origin.
const Foreign = -1

// Map records which parts of the origin's axes make up each axis of a
// tensor, outermost part first. Axes of size one have no parts. It follows rows
// through any chain of reshapes and transposes without loss.
type Map [][]Part

func New(s plan.Shape) Map {
	m := make(Map, len(s))
	for i, d := range s {
		if !d.Is(1) {
			m[i] = []Part{{i, plan.C(1), d}}
		}
	}
	return m
}

// Sole is the one part that axis i consists of, with adjacent parts merged.
func (m Map) Sole(i int) (Part, bool) {
	if i < 0 || i >= len(m) {
		return Part{}, false
	}
	g := Join(m[i])
	if len(g) != 1 {
		return Part{}, false
	}
	return g[0], true
}

// Is reports whether axis i is exactly the part of the origin's axis.
func (m Map) Is(i, axis int) bool {
	p, ok := m.Sole(i)
	return ok && p.Axis == axis && p.Stride.Is(1)
}

// Has reports whether any axis still contains a part of the origin's axis.
func (m Map) Has(axis int) bool {
	for _, g := range m {
		if slices.ContainsFunc(g, func(p Part) bool { return p.Axis == axis }) {
			return true
		}
	}
	return false
}

func Join(g []Part) []Part {
	var out []Part
	for _, p := range g {
		if n := len(out); n > 0 && p.Axis != Foreign && out[n-1].Axis == p.Axis && out[n-1].Stride.Equal(p.Stride.Mul(p.Size)) {
			out[n-1] = Part{p.Axis, p.Stride, out[n-1].Size.Mul(p.Size)}
			continue
		}
		out = append(out, p)
	}
	return out
}

// Reshape regroups the parts, in row-major order, into the axes of shape to. It
// works in both directions: it can also express the parts of a reshape's output
// on its input.
func (m Map) Reshape(to plan.Shape) (Map, bool) {
	var parts []Part
	for _, g := range m {
		parts = append(parts, g...)
	}
	out := make(Map, len(to))
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
func alignParts(parts []Part, dims []int, to plan.Shape) (np, nd int, ok bool) {
	pp := make([]plan.Dim, len(parts))
	acc := plan.C(1)
	for i, p := range parts {
		acc = acc.Mul(p.Size)
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
func fillAxes(out Map, parts []Part, dims []int, to plan.Shape) bool {
	if len(dims) == 1 {
		out[dims[0]] = slices.Clone(parts)
		return true
	}
	if len(parts) == 1 {
		p, stride := parts[0], parts[0].Stride
		for _, i := range slices.Backward(dims) {
			out[i] = []Part{{p.Axis, stride, to[i]}}
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
			if q, ok := need.Div(p.Size); ok {
				out[i] = append(out[i], p)
				need, parts = q, parts[1:]
				continue
			}
			inner, ok := p.Size.Div(need)
			if !ok {
				return false
			}
			out[i] = append(out[i], Part{p.Axis, p.Stride.Mul(inner), need})
			parts[0] = Part{p.Axis, p.Stride, inner}
			need = plan.C(1)
		}
	}
	return len(parts) == 0
}

// Permute reorders the axes: axis i of the result is axis perm[i].
func (m Map) Permute(perm []int) Map {
	out := make(Map, len(perm))
	for i, p := range perm {
		out[i] = m[p]
	}
	return out
}

// Resized replaces the parts of one axis after a selection or concatenation of
// its positions. An axis that is exactly one part keeps this part with another
// size; anything else becomes Foreign.
func (m Map) Resized(axis int, size plan.Dim) Map {
	out := slices.Clone(m)
	part := Part{Foreign, plan.C(1), size}
	if p, ok := m.Sole(axis); ok && p.Stride.Is(1) {
		part.Axis = p.Axis
	}
	out[axis] = nil
	if !size.Is(1) {
		out[axis] = []Part{part}
	}
	return out
}
