package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/transport/plan"
)

// operands are the queries, keys and values in the frame.
func (w *attending) operands() (q, k, v *node) {
	var mq, mk, mv axes.Map
	for range w.units {
		mq, mk, mv = append(mq, nil), append(mk, nil), append(mv, nil)
	}
	for _, a := range w.batch {
		mq = append(mq, w.orForeign(a, w.atQueries))
		mk = append(mk, w.orForeign(a, w.atKeys))
		mv = append(mv, w.orForeign(a, w.atValues))
	}
	var heads, keyHeads, valueHeads []axes.Part
	for _, a := range w.group {
		heads = append(heads, w.orForeign(a, w.atQueries)...)
		keyHeads = append(keyHeads, w.orForeign(a, w.atKeys)...)
		valueHeads = append(valueHeads, w.orForeign(a, w.atValues)...)
	}
	for _, a := range w.inner {
		heads = append(heads, w.orForeign(a, w.atQueries)...)
	}
	var rows []axes.Part
	for _, a := range w.query {
		rows = append(rows, w.orForeign(a, w.atQueries)...)
	}
	mq = append(mq, heads, rows, w.queries.axes[w.queryInner])
	mk = append(mk, keyHeads, w.keys.axes[w.keyRow], w.keys.axes[w.keyInner])
	mv = append(mv, valueHeads, w.values.axes[w.valueRow], w.values.axes[w.valueWidth])
	return w.b.arrange(w.queries.base, mq), w.b.arrange(w.keys.base, mk), w.b.arrange(w.values.base, mv)
}

// atQueries is the part of the queries' base that an atom is.
func (w *attending) atQueries(a axes.Part) (axes.Part, bool) {
	if a.Axis == w.queryAxis {
		p, ok := locate(w.queries.axes[w.queryRow], a.Stride, a.Size)
		return p, ok && p.Axis != axes.Foreign
	}
	return w.leading(w.queries, w.queryNode, a)
}

// orForeign is the part that at finds for an atom, or a repetition.
func (w *attending) orForeign(a axes.Part, at func(axes.Part) (axes.Part, bool)) []axes.Part {
	if p, ok := at(a); ok {
		return []axes.Part{p}
	}
	return []axes.Part{{Axis: axes.Foreign, Stride: plan.C(1), Size: a.Size}}
}

// result brings the operator's output into the layout of the context product.
func (w *attending) result(out *node) *node {
	var at [][]axes.Part // atoms of each axis of out, but the last
	for range w.units {
		at = append(at, nil)
	}
	for _, a := range w.batch {
		at = append(at, []axes.Part{a})
	}
	at = append(at, append(slices.Clone(w.group), w.inner...), w.query)
	p := w.context.in[w.side]
	key := w.probabilityKey(p)
	target := make(axes.Map, p.rank())
	for i := range p.rank() - 2 {
		target[i] = w.inOutput(w.now[i], at)
	}
	rows := w.inOutput(w.now[2*p.rank()-3-key], at)
	width := axes.New(out.spec.Shape)[out.rank()-1]
	target[p.rank()-2], target[p.rank()-1] = rows, width
	if w.side == 1 {
		target[p.rank()-2], target[p.rank()-1] = width, rows
	}
	return w.b.arrange(out, target)
}

// inOutput expresses parts of the scores' axes in axes of the operator's output.
func (w *attending) inOutput(parts []axes.Part, at [][]axes.Part) []axes.Part {
	var out []axes.Part
	for _, p := range parts {
		for _, a := range w.atoms[p.Axis] {
			if _, ok := strideIn([]axes.Part{p}, a); !ok {
				continue
			}
			for axis, g := range at {
				if stride, ok := strideIn(g, a); ok {
					out = append(out, axes.Part{Axis: axis, Stride: stride, Size: a.Size})
				}
			}
		}
	}
	return out
}
