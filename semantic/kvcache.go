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
// with the old rows first or by write_rows, and when the rows are keys or
// values of attention: the old or the updated tensor reaches a score product as
// K, or a context product as V, with the rows on the axis that the softmax runs
// over. The path may contain views, casts, scaling, rotation and head
// repetition: anything that keeps rows apart. Views between input, update and
// output must cancel out, so that the carried tensor stores the rows in the
// order in which they are added.
//
// These are not caches: a window (rows of the concat are dropped), state that
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

// rowsAdded reports whether and how the pair's output is its input with rows
// added along one axis.
func (a *analysis) rowsAdded(pair lazy.Carried) (Cache, bool) {
	u, post := a.source(pair.Out)
	c := Cache{Update: u}
	var axis int
	switch o := u.Op().(type) {
	case op.Concat:
		if len(u.In()) != 2 {
			return c, false
		}
		c.Mode, axis = CacheAppend, wrapAxis(o.Axis, u)
	case op.WriteRows:
		c.Mode, axis = CacheWrite, wrapAxis(o.Axis, u)
	default:
		return c, false
	}
	old, pre := a.source(u.In()[0])
	if old != pair.In {
		return c, false
	}
	c.Rows = u.In()[1]
	m, ok := newAxes(old.Shape()).through(a, pre)
	if !ok || len(m[axis]) == 0 {
		return c, false
	}
	m[axis] = joinParts(m[axis])
	row := m[axis][0]
	inner := plan.C(1)
	for _, p := range m[axis][1:] {
		inner = inner.Mul(p.size)
	}
	added, ok := c.Rows.Dim(axis).Div(inner)
	// Rows at the end of a part are rows at the end of the axis only if the
	// part is the outermost of the axis.
	if !ok || !row.stride.Mul(row.size).Equal(old.Dim(row.axis)) {
		return c, false
	}
	if c.Mode == CacheAppend {
		m[axis][0].size = row.size.Add(added)
	}
	if m, ok = m.through(a, post); !ok {
		return c, false
	}
	for i, d := range pair.Out.Shape() {
		if d.Is(1) && old.Dim(i).Is(1) {
			continue
		}
		if p, ok := m.sole(i); !ok || p.axis != i || !p.stride.Is(1) || !p.size.Equal(d) {
			return c, false
		}
	}
	c.Axis, c.Old, c.New = row.axis, old.Dim(row.axis), added.Mul(row.stride)
	return c, true
}

// rowMap is a map over t, the carried input or the update, in which the rows
// are axis 0 of the origin and everything else is foreign.
func rowMap(t *lazy.Tensor, c Cache) axesMap {
	axis := c.Axis
	if t == c.Update {
		switch o := t.Op().(type) {
		case op.Concat:
			axis = wrapAxis(o.Axis, t)
		case op.WriteRows:
			axis = wrapAxis(o.Axis, t)
		}
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
