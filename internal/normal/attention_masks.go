package normal

import (
	"math"

	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// maskTerm is something that is added to scores or selects among them.
type maskTerm struct {
	kind    termKind
	n       *node // a value that broadcasts to the scores at that place; of termCausal, the operator
	times   float32
	negated bool    // termBool: true is masked
	fill    float64 // termBool: what replaces a masked score
	at      axes.Map
}

type termKind uint8

const (
	termAdd termKind = iota
	termBool
	termCausal
)

func (w *attending) term(n *node, kind termKind) maskTerm {
	return maskTerm{kind: kind, n: n, times: 1, at: w.now}
}

// triangleGate is a triangle of ones by which scores are multiplied, before a number is
// subtracted where it is zero.
type triangleGate struct {
	band
	at axes.Map
}

// gated accepts s*t + a, where a is low where the triangle t is zero.
func (w *attending) gated(t maskTerm) string {
	r, ok := w.b.bandOf(t.n)
	if !ok {
		return "scores are multiplied by a mask that is not subtracted"
	}
	if t.times < 0 {
		r.in.v, r.out = -r.in.v, -r.out
	}
	if r, ok = r.asMask(); !ok || !sameLimits(r.limits, w.gate.limits) {
		return "scores are multiplied by a mask that is not subtracted"
	}
	w.gate = nil
	w.terms = append(w.terms, t)
	return ""
}

// stages are the maps of the places at which there are masks.
func (w *attending) stages() []axes.Map {
	var out []axes.Map
	for _, t := range w.terms {
		out = append(out, t.at)
	}
	return out
}

// varies reports whether a mask differs along an atom.
func (w *attending) varies(t maskTerm, a axes.Part) bool {
	for i, g := range t.at {
		if _, ok := strideIn(g, a); !ok {
			continue
		}
		if t.kind == termCausal {
			return i == len(t.at)-2
		}
		at := i - len(t.at) + t.n.rank()
		return at >= 0 && !t.n.spec.Shape[at].Is(1)
	}
	return false
}

// masking is what the masks of an attention became.
type masking struct {
	causal bool
	window int
	mask   *node // in the frame: additive (f32) or bool
	start  *node
	empty  *node // bool, in the frame: rows that attend to something; nil if all do

	adds, bools []*node
}

// masks sorts the terms.
func (w *attending) masks() (*masking, string) {
	m := &masking{}
	for _, t := range w.terms {
		why := ""
		switch t.kind {
		case termCausal:
			why = w.causalOperator(m, t)
		case termBool:
			why = w.boolMask(m, t)
		case termAdd:
			why = w.addMask(m, t)
		}
		if why != "" {
			return m, why
		}
	}
	return m, w.join(m)
}

// causalOperator takes over a causal_mask.
func (w *attending) causalOperator(m *masking, t maskTerm) string {
	last := len(t.at) - 1
	if !t.at.Is(last, w.keyAxis) || !w.isQuery(t.at, last-1) {
		return "its causal mask is not over rows of queries and keys"
	}
	m.limit(t.n.op.(op.CausalMask).Window)
	if len(t.n.in) < 2 {
		return ""
	}
	if m.start != nil && m.start != t.n.in[1] {
		return "two masks of padding"
	}
	whole := len(w.batch) == 0 && t.n.in[1].spec.Shape[0].Is(1) || len(w.batch) > 0 && t.at.Is(0, w.batch[0].Axis) && w.batch[0].Stride.Is(1) && len(w.atoms[w.batch[0].Axis]) == 1
	if !whole {
		return "the starts of sequences are not those of its first axis"
	}
	m.start = t.n.in[1]
	return ""
}

// limit makes m causal with a window, or without one if it is 0.
func (m *masking) limit(window int) {
	if window > 0 && (!m.causal || m.window == 0 || window < m.window) {
		m.window = window
	}
	m.causal = true
}

// isQuery reports whether an axis is the rows of the queries; they may be one row,
// which has no part.
func (w *attending) isQuery(m axes.Map, axis int) bool {
	if len(w.query) == 0 {
		return len(m[axis]) == 0
	}
	p, ok := m.Sole(axis)
	return ok && samePart(p, w.query[0])
}

func samePart(a, b axes.Part) bool {
	return a.Axis == b.Axis && a.Stride.Equal(b.Stride) && a.Size.Equal(b.Size)
}

// boolMask takes over where(cond, scores, fill).
func (w *attending) boolMask(m *masking, t maskTerm) string {
	r, ok := w.b.bandOf(t.n)
	if !ok {
		return w.boolData(m, t, t.n, t.negated)
	}
	masked := truth(t.negated)
	r, ok = r.masked(masked)
	if !ok || w.guarded && math.IsInf(t.fill, -1) && r.in.n != nil || !w.limits(m, t, r.limits) {
		return w.boolData(m, t, t.n, t.negated)
	}
	if r.in.n != nil {
		return w.boolData(m, t, r.in.n, t.negated)
	}
	if r.in.v == masked {
		return "no key may be attended to"
	}
	return ""
}

// limits takes over the limits of a band that is true where a query attends, if
// they are those of causal attention. It changes nothing otherwise.
func (w *attending) limits(m *masking, t maskTerm, limits []positions) bool {
	key, query := -1, -1
	for i := range t.at {
		if t.at.Is(i, w.keyAxis) {
			key = len(t.at) - 1 - i
		} else if len(w.query) > 0 && w.isQuery(t.at, i) {
			query = len(t.at) - 1 - i
		}
	}
	if key < 0 {
		return false
	}
	keys := w.scores.spec.Shape[w.keyAxis]
	rows := plan.C(1)
	if len(w.query) > 0 {
		rows = w.query[0].Size
	}
	causal, window := false, 0
	for _, p := range limits {
		for i, s := range p.step {
			if s != 0 && i != key && i != query {
				return false
			}
		}
		byQuery := 0
		if query >= 0 {
			byQuery = p.step[query]
		}
		switch ahead := p.c.Sub(keys.Sub(rows)); { // of the query's own position
		case p.step[key] == 0 && byQuery == 0 && nonNegative(p.c):
		case p.step[key] == -1 && (byQuery == 1 || rows.Is(1)) && ahead.Is(0):
			causal = true
		case p.step[key] == -1 && byQuery == 0 && nonNegative(p.c.Sub(keys).Add(plan.C(1))):
		case p.step[key] == 1 && byQuery == 0 && nonNegative(p.c):
		case p.step[key] == 1 && (byQuery == -1 || rows.Is(1)):
			n, ok := p.c.Add(keys.Sub(rows)).Add(plan.C(1)).Const()
			if !ok || n < 1 || window > 0 {
				return false
			}
			window = n
		default:
			return false
		}
	}
	if window > 0 && !causal && !m.causal && !w.causalElsewhere(t) {
		return false
	}
	if causal || window > 0 {
		m.limit(window)
	}
	return true
}

// causalElsewhere reports whether a term after t makes the attention causal.
func (w *attending) causalElsewhere(t maskTerm) bool {
	after := false
	for _, o := range w.terms {
		if o.n == t.n && o.kind == t.kind {
			after = true
			continue
		}
		if !after {
			continue
		}
		m := &masking{}
		switch r, ok := w.b.bandOf(o.n); {
		case o.kind == termCausal:
			return true
		case o.kind == termBool && ok:
			if r, ok = r.masked(truth(o.negated)); ok && w.limits(m, o, r.limits) && m.causal {
				return true
			}
		case o.kind == termAdd && ok:
			if r, ok = w.additiveBand(o); ok && w.limits(m, o, r.limits) && m.causal {
				return true
			}
		}
	}
	return false
}

// boolData takes over a mask that is data.
func (w *attending) boolData(m *masking, t maskTerm, n *node, negated bool) string {
	x := w.inFrame(w.b.condition(n, negated), t.at)
	if x == bad {
		return "its mask is not laid out as rows of queries and keys"
	}
	m.bools = append(m.bools, x)
	if w.guarded && math.IsInf(t.fill, -1) {
		m.rows(w.b, x)
	}
	return ""
}

// rows records that rows without a true element are empty.
func (m *masking) rows(b *builder, x *node) {
	last := x.rank() - 1
	ones := b.make(op.Cast{To: plan.F32}, x)
	if ones == bad {
		return
	}
	most := b.make(op.Reduce{Kind: "max", Axes: []int{last}, Keep: true}, ones)
	if most == bad {
		return
	}
	some := b.make(op.Cast{To: plan.Bool}, most)
	if m.empty != nil {
		some = b.make(op.And(), m.empty, some)
	}
	m.empty = some
}

// not is the negation of a bool value.
func (b *builder) not(n *node) *node {
	if n.is("not") {
		return n.in[0]
	}
	return b.make(op.Not(), n)
}

// addMask takes over something that is added to scores.
func (w *attending) addMask(m *masking, t maskTerm) string {
	if x, c, ok := t.n.scaled(); ok {
		// A sum that is scaled is looked at in parts.
		if _, isBand := w.b.bandOf(t.n); !isBand && x.is("add") {
			t.n, t.times = x, t.times*c
			return w.addMask(m, t)
		}
	}
	if t.n.is("add") {
		if _, ok := w.b.bandOf(t.n); !ok {
			for _, x := range t.n.in {
				part := t
				part.n = x
				if why := w.addMask(m, part); why != "" {
					return why
				}
			}
			return ""
		}
	}
	if _, ok := t.n.number(); ok {
		return ""
	}
	if r, ok := w.additiveBand(t); ok {
		whole := w.guarded && r.in.n != nil
		if !whole && w.limits(m, t, r.limits) {
			if r.in.n != nil {
				t.n = r.in.n
				return w.addData(m, t)
			}
			return ""
		}
	}
	return w.addData(m, t)
}

// additiveBand is a band that is added to scores and is low outside.
func (w *attending) additiveBand(t maskTerm) (band, bool) {
	r, ok := w.b.bandOf(t.n)
	if !ok {
		return r, false
	}
	if r.out*float64(t.times) > maskFill && r.in.n == nil {
		if m, ok := r.masked(r.in.v); ok {
			r = m
		}
	}
	return r, r.out*float64(t.times) <= maskFill
}

// addData takes over an additive mask that is data. One that adds zero or
// takes away so much that nothing is left of a score is a bool mask.
func (w *attending) addData(m *masking, t maskTerm) string {
	if cond, fill, negated, ok := w.b.switchOf(t.n, float64(t.times)); ok {
		t.fill = fill
		return w.boolData(m, t, cond, negated)
	}
	if w.guarded {
		return "rows without a number become zero, and its mask may have such rows"
	}
	x := w.inFrame(w.b.scale(t.n, t.times), t.at)
	if x == bad {
		return "its mask is not laid out as rows of queries and keys"
	}
	m.adds = append(m.adds, x)
	return ""
}

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

// join makes one mask of all of them.
func (w *attending) join(m *masking) string {
	b := w.b
	for _, x := range m.adds {
		if m.mask == nil {
			m.mask = x
		} else {
			m.mask = b.make(op.Add(), m.mask, x)
		}
	}
	var allowed *node
	for _, x := range m.bools {
		if allowed == nil {
			allowed = x
		} else {
			allowed = b.make(op.And(), allowed, x)
		}
	}
	switch {
	case allowed == nil:
	case m.mask == nil:
		m.mask = allowed
	default:
		m.mask = b.make(op.Where{}, allowed, m.mask, b.constF32([]float32{op.MaskValue}))
	}
	if m.mask == bad || m.empty == bad {
		return "its masks cannot be combined"
	}
	return ""
}

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
