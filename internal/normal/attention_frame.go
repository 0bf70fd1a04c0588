package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// frame is the form in which an attention is computed: batch axes, heads, rows
// of queries. Its axes are made of parts of the axes of the scores.
type frame struct {
	queries, keys, values layout
	// Axes of the operands of the products: of the queries (rows and inner), of
	// the keys (rows and inner), of the values (rows and width).
	queryRow, queryInner, keyRow, keyInner, valueRow, valueWidth int
	queryNode, keyNode, valueNode                                *node

	atoms [][]axes.Part // of each axis of the scores, outermost first
	batch []axes.Part   // atoms, each an axis of its own
	group []axes.Part   // atoms of the heads of the keys
	inner []axes.Part   // atoms of the heads that share a key head
	query []axes.Part   // at most one atom: the rows
	units int           // axes of size one in front
}

// place finds the frame.
func (w *attending) place() string {
	w.operandAxes()
	w.queries, w.keys, w.values = w.b.layoutOf(w.queryNode), w.b.layoutOf(w.keyNode), w.b.layoutOf(w.valueNode)
	w.scale *= w.queries.scale * w.keys.scale
	p := w.context.in[w.side]
	inner := w.probabilityKey(p)
	if !w.now.Is(inner, w.keyAxis) {
		return "the values are not summed over the axis of the softmax"
	}
	if w.valueNode.rank() > p.rank() {
		return "the values have axes that the probabilities lack"
	}
	for i := range w.valueNode.rank() - 2 {
		d := w.valueNode.spec.Shape[i]
		if at := p.rank() - w.valueNode.rank() + i; !d.Is(1) && !d.Equal(p.spec.Shape[at]) {
			return "the values have axes that the probabilities lack"
		}
	}
	if !w.cut() {
		return "axes of the scores are split at places that do not agree"
	}
	return w.roles()
}

// probabilityKey is the axis of the probabilities that the context product sums over.
func (w *attending) probabilityKey(p *node) int {
	o := w.context.op.(op.MatMul)
	if w.side == 0 && o.TransA || w.side == 1 && !o.TransB {
		return p.rank() - 2
	}
	return p.rank() - 1
}

// operandAxes finds which operand and which of its axes is what.
func (w *attending) operandAxes() {
	o := w.scores.op.(op.MatMul)
	x, y := w.scores.in[0], w.scores.in[1]
	xRow, xInner := x.rank()-2, x.rank()-1
	if o.TransA {
		xRow, xInner = xInner, xRow
	}
	yRow, yInner := y.rank()-1, y.rank()-2
	if o.TransB {
		yRow, yInner = yInner, yRow
	}
	w.queryNode, w.queryRow, w.queryInner = x, xRow, xInner
	w.keyNode, w.keyRow, w.keyInner = y, yRow, yInner
	if w.keyAxis != w.scores.rank()-1 {
		w.queryNode, w.queryRow, w.queryInner = y, yRow, yInner
		w.keyNode, w.keyRow, w.keyInner = x, xRow, xInner
	}
	c := w.context.op.(op.MatMul)
	w.valueNode = w.context.in[1-w.side]
	r := w.valueNode.rank()
	w.valueRow, w.valueWidth = r-2, r-1
	if w.side == 0 && c.TransB || w.side == 1 && !c.TransA {
		w.valueRow, w.valueWidth = r-1, r-2
	}
}

// cut splits the axes of the scores into atoms: where any of the values around
// them splits or merges.
func (w *attending) cut() bool {
	s := w.scores.spec.Shape
	cuts := make([][]plan.Dim, len(s)) // strides, by axis
	add := func(p axes.Part) {
		cuts[p.Axis] = append(cuts[p.Axis], p.Stride, p.Stride.Mul(p.Size))
	}
	for _, m := range append(w.stages(), w.now) {
		for _, g := range m {
			for _, p := range g {
				add(p)
			}
		}
	}
	// The operands of the scores: their leading axes are those of the scores.
	for i := range s {
		for _, parts := range [][]axes.Part{w.operandAxis(w.queries, w.queryNode, w.queryRow, i), w.operandAxis(w.keys, w.keyNode, w.keyRow, i)} {
			stride := plan.C(1)
			for _, p := range slices.Backward(parts) {
				cuts[i] = append(cuts[i], stride)
				stride = stride.Mul(p.Size)
			}
		}
	}
	// The values: their leading axes are those of the probabilities.
	p := w.context.in[w.side]
	for i := range w.valueNode.rank() - 2 {
		at := p.rank() - w.valueNode.rank() + i
		stride := plan.C(1)
		for _, v := range slices.Backward(axes.Join(w.values.axes[i])) {
			if c, ok := locate(w.now[at], stride, v.Size); ok && c.Axis != axes.Foreign {
				add(c)
			}
			stride = stride.Mul(v.Size)
		}
	}
	w.atoms = make([][]axes.Part, len(s))
	for i, d := range s {
		if w.atoms[i] = atomsOf(i, d, cuts[i]); w.atoms[i] == nil && !d.Is(1) {
			return false
		}
	}
	return true
}

// operandAxis is how the axis of an operand is made that gives axis i of the
// scores; nil if it has none. The rows are not cut at the key axis, which stays
// whole.
func (w *attending) operandAxis(l layout, n *node, row, i int) []axes.Part {
	rank := w.scores.rank()
	switch {
	case i == w.keyAxis:
		return nil
	case i == w.queryAxis:
		if n != w.queryNode {
			return nil
		}
		return axes.Join(l.axes[row])
	}
	at := i - rank + n.rank()
	if at < 0 || n.spec.Shape[at].Is(1) {
		return nil
	}
	return axes.Join(l.axes[at])
}

// atomsOf splits an axis at strides; nil if these do not divide each other.
func atomsOf(axis int, size plan.Dim, cuts []plan.Dim) []axes.Part {
	chain := []plan.Dim{plan.C(1), size}
	for _, c := range cuts {
		for i, d := range chain {
			if c.Equal(d) {
				break
			}
			if divides(c, d) {
				if i == 0 || !divides(chain[i-1], c) {
					return nil
				}
				chain = slices.Insert(chain, i, c)
				break
			}
			if i == len(chain)-1 {
				return nil
			}
		}
	}
	var out []axes.Part
	for i := len(chain) - 1; i > 0; i-- {
		n, _ := chain[i].Div(chain[i-1])
		if !n.Is(1) {
			out = append(out, axes.Part{Axis: axis, Stride: chain[i-1], Size: n})
		}
	}
	return out
}

func divides(a, b plan.Dim) bool {
	_, ok := b.Div(a)
	return ok
}

// locate is the part of an axis made of parts that is size positions at the
// stride.
func locate(parts []axes.Part, stride, size plan.Dim) (axes.Part, bool) {
	inner := plan.C(1)
	for _, p := range slices.Backward(axes.Join(parts)) {
		if within, ok := stride.Div(inner); ok {
			if rest, ok := p.Size.Div(within); ok && divides(size, rest) {
				return axes.Part{Axis: p.Axis, Stride: p.Stride.Mul(within), Size: size}, true
			}
		}
		inner = inner.Mul(p.Size)
	}
	return axes.Part{}, false
}

// roles decides what each atom is.
func (w *attending) roles() string {
	for _, a := range w.atoms[w.keyAxis] {
		if !a.Stride.Is(1) || !a.Size.Equal(w.scores.spec.Shape[w.keyAxis]) {
			return "the axis of the keys is split"
		}
	}
	rows := w.queryAtom()
	for i := range w.scores.rank() - 2 {
		for _, a := range w.atoms[i] {
			_, inKeys := w.atKeys(a)
			_, inValues := w.atValues(a)
			if inKeys || inValues {
				w.batch = append(w.batch, a)
			} else {
				w.inner = append(w.inner, a)
			}
		}
	}
	for i, a := range w.atoms[w.queryAxis] {
		if _, ok := w.atValues(a); ok {
			return "each query has values of its own"
		}
		if i == rows {
			w.query = []axes.Part{a}
		} else {
			w.inner = append(w.inner, a)
		}
	}
	w.inMemoryOrder(w.batch)
	// The last axis that keys have is that of their heads, unless it can only
	// be the batch.
	if n := len(w.batch); n > 1 || n == 1 && w.batch[0].Axis > 0 {
		n--
		for n > 0 && w.adjoin(w.batch[n-1], w.batch[n]) {
			n--
		}
		w.group, w.batch = w.batch[n:], w.batch[:n]
	}
	w.units = max(0, 1-len(w.batch))
	return ""
}

// adjoin reports whether two atoms are one axis of the queries, the keys and the
// values that the program has split.
func (w *attending) adjoin(outer, inner axes.Part) bool {
	for _, at := range []func(axes.Part) (axes.Part, bool){w.atQueries, w.atKeys, w.atValues} {
		p, ok := at(outer)
		q, ok2 := at(inner)
		if !ok || !ok2 || p.Axis != q.Axis || !p.Stride.Equal(q.Stride.Mul(q.Size)) {
			return false
		}
	}
	return true
}

// inMemoryOrder sorts atoms as the memory of the queries has them, so that the
// order of axes in the program does not matter.
func (w *attending) inMemoryOrder(atoms []axes.Part) {
	at := func(a axes.Part) axes.Part {
		p, ok := w.atQueries(a)
		if !ok {
			p, _ = w.atKeys(a)
		}
		return p
	}
	slices.SortStableFunc(atoms, func(a, b axes.Part) int {
		p, q := at(a), at(b)
		if p.Axis != q.Axis {
			return p.Axis - q.Axis
		}
		if !p.Stride.Equal(q.Stride) && divides(p.Stride, q.Stride) {
			return 1
		}
		return -1
	})
}

// queryAtom is the part of the query axis that is the rows. Others are heads that
// share keys. Where masks do not say which one it is, it is the one whose size
// is not constant, or the last.
func (w *attending) queryAtom() int {
	list := w.atoms[w.queryAxis]
	rows := len(list) - 1
	for i, a := range list {
		if _, constant := a.Size.Const(); !constant {
			rows = i
		}
	}
	for _, t := range w.terms {
		for i, a := range list {
			if w.varies(t, a) {
				rows = i
			}
		}
	}
	return rows
}

// atKeys is the part of the keys' base that an atom of a leading axis is.
func (w *attending) atKeys(a axes.Part) (axes.Part, bool) {
	return w.leading(w.keys, w.keyNode, a)
}

func (w *attending) leading(l layout, n *node, a axes.Part) (axes.Part, bool) {
	at := a.Axis - w.scores.rank() + n.rank()
	if at < 0 || n.spec.Shape[at].Is(1) {
		return axes.Part{}, false
	}
	p, ok := locate(l.axes[at], a.Stride, a.Size)
	return p, ok && p.Axis != axes.Foreign
}

// atValues is the part of the values' base that an atom is.
func (w *attending) atValues(a axes.Part) (axes.Part, bool) {
	p := w.context.in[w.side]
	for at := range p.rank() - 2 {
		i := at - p.rank() + w.valueNode.rank()
		if i < 0 || w.valueNode.spec.Shape[i].Is(1) {
			continue
		}
		if stride, ok := strideIn(w.now[at], a); ok {
			x, ok := locate(w.values.axes[i], stride, a.Size)
			return x, ok && x.Axis != axes.Foreign
		}
	}
	return axes.Part{}, false
}

// strideIn is the stride at which atom a is in an axis made of parts.
func strideIn(parts []axes.Part, a axes.Part) (plan.Dim, bool) {
	inner := plan.C(1)
	for _, p := range slices.Backward(parts) {
		if p.Axis == a.Axis {
			within, ok := a.Stride.Div(p.Stride)
			if rest, ok2 := p.Size.Div(within); ok && ok2 && divides(a.Size, rest) {
				return inner.Mul(within), true
			}
		}
		inner = inner.Mul(p.Size)
	}
	return plan.Dim{}, false
}

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
