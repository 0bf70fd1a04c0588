package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// layout says how a value is made of another one: its axes in parts of base's,
// with foreign parts where it repeats base, and the constant by which base is
// multiplied.
type layout struct {
	base  *node
	axes  axes.Map
	scale float32
}

// layoutOf walks back from n through reshapes, transposes, expands, concats of
// copies and scales by a constant.
func (b *builder) layoutOf(n *node) layout {
	var path []*node
	for {
		if x, ok := b.concatOfCopies(n); ok {
			n = x
			continue
		}
		x, _, ok := n.scaled()
		if !ok && (n.is("contiguous") || n.is("reshape") || n.is("transpose") || n.is("expand")) {
			x, ok = n.in[0], true
		}
		if !ok {
			break
		}
		path = append(path, n)
		n = x
	}
	l := layout{n, axes.New(n.spec.Shape), 1}
	for _, n := range slices.Backward(path) {
		if !l.through(n) {
			// What is behind this reshape cannot be told apart.
			l = layout{n, axes.New(n.spec.Shape), 1}
		}
	}
	return l
}

// through extends the layout by an operator of which it describes the input.
func (l *layout) through(n *node) bool {
	switch o := n.op.(type) {
	case op.Reshape:
		m, ok := l.axes.Reshape(n.spec.Shape)
		if ok {
			l.axes = m
		}
		return ok
	case op.Transpose:
		l.axes = l.axes.Permute(o.Perm)
	case op.Contiguous:
	case op.Expand:
		l.axes = expanded(l.axes, n.in[0].spec.Shape, n.spec.Shape)
	default:
		_, c, _ := n.scaled()
		l.scale *= c
	}
	return true
}

// expanded is m after broadcasting from one shape to another.
func expanded(m axes.Map, from, to plan.Shape) axes.Map {
	out := make(axes.Map, len(to))
	skip := len(to) - len(from)
	for i, d := range to {
		switch {
		case i >= skip && from[i-skip].Equal(d):
			out[i] = m[i-skip]
		case !d.Is(1):
			out[i] = []axes.Part{{Axis: axes.Foreign, Stride: plan.C(1), Size: d}}
		}
	}
	return out
}

// arrange is x with the given axes, each made of parts of x's axes, outermost
// first. Every position of x is in it once, or as often as the foreign parts
// say. It is made of at most a reshape, a transpose, an expand and a reshape.
func (b *builder) arrange(x *node, target axes.Map) *node {
	split, perm, ok := arrangement(x.spec.Shape, target)
	if !ok {
		return bad
	}
	x = b.reshape(x, split...)
	if len(perm) > 0 {
		x = b.transpose(x, perm...)
	}
	return b.repeated(x, target)
}

// repeated gives x, whose axes are the parts of target that are not foreign, the
// shape of target.
func (b *builder) repeated(x *node, target axes.Map) *node {
	var single, full, merged plan.Shape
	foreign := false
	for _, g := range target {
		size := plan.C(1)
		for _, p := range axes.Join(g) {
			if p.Size.Is(1) {
				continue
			}
			one := p.Size
			if p.Axis == axes.Foreign {
				one, foreign = plan.C(1), true
			}
			single, full, size = append(single, one), append(full, p.Size), size.Mul(p.Size)
		}
		merged = append(merged, size)
	}
	if foreign {
		x = b.reshape(x, single...)
		if x == bad {
			return bad
		}
		x = b.make(op.Expand{Shape: full}, x)
	}
	if x == bad {
		return bad
	}
	return b.reshape(x, merged...)
}
