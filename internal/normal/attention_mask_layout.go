package normal

import (
	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/transport/plan"
)

// inFrame lays a mask out in the frame; axes along which it does not vary have
// size one. What the mask is computed from by pointwise operators is laid out,
// so that the order of views and arithmetic in the program does not matter.
func (w *attending) inFrame(n *node, at axes.Map) *node {
	return w.laidOut(n, func(a axes.Part) (axes.Part, bool) {
		for i, g := range at {
			stride, ok := strideIn(g, a)
			if !ok {
				continue
			}
			axis := i - len(at) + n.rank()
			return axes.Part{Axis: axis, Stride: stride, Size: a.Size}, axis >= 0 && !n.spec.Shape[axis].Is(1)
		}
		return axes.Part{}, false
	})
}

// laidOut is n in the frame, given the part of n's axes that an atom is.
func (w *attending) laidOut(n *node, place func(axes.Part) (axes.Part, bool)) *node {
	l := w.b.layoutOf(n)
	inBase := func(a axes.Part) (axes.Part, bool) {
		p, ok := place(a)
		if !ok {
			return p, false
		}
		p, ok = locate(l.axes[p.Axis], p.Stride, p.Size)
		return p, ok && p.Axis != axes.Foreign
	}
	base := l.base
	if base.op != nil && base.op.Traits().Pointwise && w.alignedParts(base, inBase) {
		in := make([]*node, len(base.in))
		for i, x := range base.in {
			if _, ok := x.number(); ok {
				in[i] = w.b.small(x)
				continue
			}
			in[i] = w.laidOut(x, func(a axes.Part) (axes.Part, bool) {
				p, ok := inBase(a)
				p.Axis += x.rank() - base.rank()
				return p, ok && p.Axis >= 0 && !x.spec.Shape[p.Axis].Is(1)
			})
			if in[i] == bad {
				return bad
			}
		}
		return w.b.scale(w.b.make(base.op, in...), l.scale)
	}
	x := w.b.arrange(base, w.target(inBase))
	return w.b.scale(x, l.scale)
}

// alignedParts reports whether every axis of a base is in the frame: else a sum
// over what the frame lacks would be needed.
func (w *attending) alignedParts(base *node, inBase func(axes.Part) (axes.Part, bool)) bool {
	size := plan.C(1)
	for _, list := range w.atoms {
		for _, a := range list {
			if p, ok := inBase(a); ok {
				size = size.Mul(p.Size)
			}
		}
	}
	return size.Equal(base.spec.Shape.Elements())
}

// small is a number as a constant of rank 0.
func (b *builder) small(x *node) *node {
	if x.rank() == 0 {
		return x
	}
	if v, ok := x.scalar(); ok {
		return b.constF32([]float32{v})
	}
	return x
}

// target are the axes of the frame in parts of a mask.
func (w *attending) target(place func(axes.Part) (axes.Part, bool)) axes.Map {
	var target axes.Map
	for range w.units {
		target = append(target, nil)
	}
	add := func(atoms []axes.Part) {
		var parts []axes.Part
		varies := false
		for _, a := range atoms {
			_, ok := place(a)
			varies = varies || ok
			parts = append(parts, w.orForeign(a, place)...)
		}
		if !varies {
			parts = nil
		}
		target = append(target, parts)
	}
	for _, a := range w.batch {
		add([]axes.Part{a})
	}
	add(append(append([]axes.Part(nil), w.group...), w.inner...))
	add(w.query)
	add(w.atoms[w.keyAxis])
	return target
}
