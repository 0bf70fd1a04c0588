package semantic

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// caches finds the KV caches among the carried pairs.
//
// A pair is one when its output is its own input with rows added, by a concat
// with the old rows first, by write_rows, by a scatter or a selection of single
// rows, and when the rows are keys or
// values of attention: the old or the updated tensor reaches a score product as
// K, or a context product as V, with the rows on the axis that the softmax runs
// over. The path may contain views, casts, scaling, rotation and head
// repetition: anything that keeps rows apart. Views between input, update and
// output must cancel out, so that the carried tensor stores the rows in the
// order in which they are added.
//
// A window, from which as many rows are dropped at the front as are added, is a
// cache whose old rows are that many.
//
// These are not caches: state that
// is recomputed (recurrent networks, running sums), rows added in front, a
// concat that is not carried, a carried log that attention does not read or
// reads only through a projection or an embedding.
type caches struct{}

func (caches) Name() string { return "kv-cache" }

func (caches) Recognise(a *analysis) error {
	uses := map[product]cacheUse{}
	for i, p := range a.attn {
		for _, s := range p.scores {
			uses[s] = cacheUse{i + 1, true}
		}
		for _, c := range p.context {
			uses[c] = cacheUse{i + 1, false}
		}
	}
	w := &cacheWalk{analysis: a, uses: uses, seen: make([]int, len(a.tensors))}
	for i, pair := range a.Graph.Carries() {
		wanted, hinted := a.hints.cache[pair.In.ID()]
		if hinted && !wanted {
			continue
		}
		c, ok := a.rowsAdded(pair)
		c.Carry = i
		if ok {
			w.stamp++
			w.first = 0
			for _, t := range []*lazy.Tensor{pair.In, c.Update} {
				w.read(t.ID(), rowMap(t, c))
			}
			ok = w.first > 0 || hinted
		}
		if !ok {
			if hinted {
				return fmt.Errorf("%w: hint that input %q is a cache, but no rows are added to it", lazy.ErrCapture, pair.In.Name())
			}
			continue
		}
		c.Query = c.New
		if w.first > 0 {
			c.Query = queryRows(a.attn[w.first-1].query, c.New)
		}
		a.Caches = append(a.Caches, c)
	}
	for id, wanted := range a.hints.cache {
		if wanted && !a.carried[id] {
			return fmt.Errorf("%w: hint that %v is a cache, but it is not carried into", lazy.ErrCapture, a.tensors[id])
		}
	}
	return nil
}

// queryRows is the number of query rows per sequence. Grouped-query attention
// may fold the heads of a group into the rows of the product, so a constant
// multiple of the new rows counts as the new rows.
func queryRows(rows, added plan.Dim) plan.Dim {
	if q, ok := rows.Div(added); ok {
		if _, ok := q.Const(); ok {
			return added
		}
	}
	return rows
}

// addition is how an operator adds rows to its input.
type addition struct {
	at   *lazy.Tensor // the operator
	old  int          // its input that has the old rows
	rows int          // its input that has the first of the new rows
	axis int
	mode CacheMode
	// added is the number of new rows, as far as the operator's axis counts.
	added plan.Dim
}

// additionOf reports how t adds rows: by a concat with the old rows first, by a
// write into a buffer, or by a selection of single rows of one.
func additionOf(t *lazy.Tensor) (addition, bool) {
	in := t.In()
	switch o := t.Op().(type) {
	case op.Concat:
		u := addition{at: t, rows: 1, axis: wrapAxis(o.Axis, t), mode: CacheAppend}
		if len(in) < 2 {
			return u, false
		}
		for _, x := range in[1:] {
			u.added = u.added.Add(x.Dim(u.axis))
		}
		return u, true
	case op.WriteRows:
		axis := wrapAxis(o.Axis, t)
		return addition{at: t, rows: 1, axis: axis, mode: CacheWrite, added: in[1].Dim(axis)}, true
	case op.ScatterElements:
		axis := wrapAxis(o.Axis, t)
		return addition{at: t, rows: 2, axis: axis, mode: CacheWrite, added: in[2].Dim(axis)}, o.Combine == op.CombineNone
	case op.ScatterND:
		// Whole rows of the first axis, at the indices of a list.
		return addition{at: t, rows: 2, mode: CacheWrite, added: in[2].Dim(0)}, o.Combine == op.CombineNone && in[1].Dim(-1).Is(1)
	case op.Where:
		return selection(t)
	}
	return addition{}, false
}

// selection is where(cond, rows, old) or where(cond, old, rows) with one row,
// chosen by the position along one axis: a write at a position that may differ
// from sequence to sequence.
func selection(t *lazy.Tensor) (addition, bool) {
	in := t.In()
	for _, u := range []addition{{at: t, old: 2, rows: 1, mode: CacheWrite}, {at: t, old: 1, rows: 2, mode: CacheWrite}} {
		u.axis = -1
		skip := len(t.Shape()) - len(in[u.rows].Shape())
		for i, d := range t.Shape() {
			if i >= skip && in[u.rows].Dim(i-skip).Equal(d) {
				continue
			}
			if c := i - len(t.Shape()) + len(in[0].Shape()); c < 0 || !in[0].Dim(c).Equal(d) {
				continue
			}
			if u.axis >= 0 {
				u.axis = -1
				break
			}
			u.axis = i
		}
		if u.added = plan.C(1); u.axis >= 0 && in[u.old].Shape().Equal(t.Shape()) && selectsPositions(in[0]) {
			return u, true
		}
	}
	return addition{}, false
}

// selectsPositions reports whether a condition compares positions for equality.
func selectsPositions(cond *lazy.Tensor) bool {
	for isView(cond) || is(cond, "not") || is(cond, "expand") {
		cond = cond.In()[0]
	}
	return is(cond, "equal")
}

// rowsAdded reports whether and how the pair's output is its input with rows
// added along one axis.
func (a *analysis) rowsAdded(pair lazy.Carried) (Cache, bool) {
	u, post := a.source(pair.Out)
	if c, ok := a.rolled(pair, u, post); ok {
		return c, true
	}
	add, ok := additionOf(u)
	c := Cache{Update: u, Mode: add.mode}
	if !ok {
		return c, false
	}
	old, pre := a.source(u.In()[add.old])
	if old != pair.In {
		return c, false
	}
	c.Rows = u.In()[add.rows]
	m, ok := newAxes(old.Shape()).through(a, pre)
	if !ok || len(m[add.axis]) == 0 {
		return c, false
	}
	m[add.axis] = joinParts(m[add.axis])
	row := m[add.axis][0]
	inner := plan.C(1)
	for _, p := range m[add.axis][1:] {
		inner = inner.Mul(p.size)
	}
	added, ok := add.added.Div(inner)
	// Rows at the end of a part are rows at the end of the axis only if the
	// part is the outermost of the axis.
	if !ok || !row.stride.Mul(row.size).Equal(old.Dim(row.axis)) {
		return c, false
	}
	if c.Mode == CacheAppend {
		m[add.axis][0].size = row.size.Add(added)
	}
	if !a.sameLayout(m, post, pair) {
		return c, false
	}
	c.Axis, c.Old, c.New = row.axis, old.Dim(row.axis), added.Mul(row.stride)
	return c, true
}

// sameLayout reports whether the carried output, which the tensors of post show,
// has its rows where the input has them.
func (a *analysis) sameLayout(m axesMap, post []*lazy.Tensor, pair lazy.Carried) bool {
	m, ok := m.through(a, post)
	if !ok {
		return false
	}
	for i, d := range pair.Out.Shape() {
		if d.Is(1) && pair.In.Dim(i).Is(1) {
			continue
		}
		if p, ok := m.sole(i); !ok || p.axis != i || !p.stride.Is(1) || !p.size.Equal(d) {
			return false
		}
	}
	return true
}

// rolled reports whether the pair is a window: rows are added at the end, and as
// many are dropped at the front, before or after that.
func (a *analysis) rolled(pair lazy.Carried, u *lazy.Tensor, post []*lazy.Tensor) (Cache, bool) {
	c := Cache{Mode: CacheRoll}
	last, dropped := u.Op().(op.Slice)
	if dropped {
		axis := wrapAxis(last.Axis, u)
		if !last.Stop.Equal(u.In()[0].Dim(axis)) {
			return c, false
		}
	}
	joined, between := u, []*lazy.Tensor(nil)
	if dropped {
		joined, between = a.source(u.In()[0])
	}
	add, ok := additionOf(joined)
	if !ok || add.mode != CacheAppend || !pair.Out.Shape().Equal(pair.In.Shape()) {
		return c, false
	}
	old, pre := a.source(joined.In()[0])
	if s, ok := old.Op().(op.Slice); ok && !dropped && s.Stop.Equal(old.In()[0].Dim(wrapAxis(s.Axis, old))) && old.In()[0] == pair.In {
		old, dropped = pair.In, true
	}
	if old != pair.In || !dropped {
		return c, false
	}
	m, ok := newAxes(old.Shape()).through(a, pre)
	if !ok {
		return c, false
	}
	row, ok := m.sole(add.axis)
	if !ok || !row.stride.Is(1) || !row.size.Equal(old.Dim(row.axis)) {
		return c, false
	}
	if joined != u {
		m[add.axis] = []axisPart{{row.axis, row.stride, row.size.Add(add.added)}}
		if m, ok = m.through(a, between); !ok || !m.is(wrapAxis(last.Axis, u), row.axis) {
			return c, false
		}
		m[wrapAxis(last.Axis, u)] = []axisPart{row}
	}
	if !a.sameLayout(m, post, pair) {
		return c, false
	}
	c.Update, c.Rows, c.Axis, c.Old, c.New = joined, joined.In()[add.rows], row.axis, row.size, add.added
	return c, true
}

// rowMap is a map over t, the carried input or the update, in which the rows
// are axis 0 of the origin and everything else is foreign.
func rowMap(t *lazy.Tensor, c Cache) axesMap {
	axis := c.Axis
	if t == c.Update {
		add, _ := additionOf(t)
		axis = add.axis
	}
	m := newAxes(t.Shape())
	for i := range m {
		for j := range m[i] {
			m[i][j].axis = foreign
			if i == axis {
				m[i][j].axis = 0
			}
		}
	}
	return m
}

// cacheUse records that an operand of a matrix product is K or V of an
// attention pattern, numbered from 1.
type cacheUse struct {
	attention int
	key       bool
}

type cacheWalk struct {
	*analysis
	uses  map[product]cacheUse
	seen  []int
	stamp int
	first int // the first attention that reads the rows, or 0
}

// read follows rows, axis 0 of the map's origin, from tensor id to the
// attention patterns that use them as keys or values.
func (w *cacheWalk) read(id int, m axesMap) {
	if w.seen[id] == w.stamp {
		return
	}
	w.seen[id] = w.stamp
	for _, r := range w.readers[id] {
		t := w.tensors[r.id]
		if use, ok := w.uses[product{r.id, r.operand}]; ok {
			axis := rowAxis(t, r.operand, len(m), use.key)
			if m.is(axis, 0) && (w.first == 0 || use.attention < w.first) {
				w.first = use.attention
			}
			continue
		}
		if next, ok := m.forward(t, r.operand); ok && next.has(0) {
			w.read(r.id, next)
		}
	}
}
