package semantic

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// inPlace turns the update of a KV cache into one in the state's own memory: a
// concat becomes an append of the new rows; a write of rows stays and is
// ordered after the readers of the old value.
func (l *lowering) inPlace(c Cache, st *carryState) {
	u := l.main.nodes[c.Update.ID()]
	if u == nil || throughIdentity(st.out) != u || len(u.in) == 0 || throughIdentity(u.in[0]) != st.in {
		return
	}
	switch o := u.op.(type) {
	case op.Concat:
		axis := o.Axis
		if axis < 0 {
			axis += len(u.spec.Shape)
		}
		rows := u.in[1]
		if len(u.in) > 2 {
			rows = l.main.node(u.key)
			rows.kind, rows.op, rows.spec = lazy.KindOp, op.Concat{Axis: axis}, u.spec
			rows.spec.Shape = slices.Clone(u.spec.Shape)
			rows.spec.Shape[axis] = u.spec.Shape[axis].Sub(st.in.spec.Shape[axis])
			l.main.reads(rows, u.in[1:])
		}
		u.op = op.Append{Axis: axis}
		l.main.reads(u, []*irNode{st.in, rows})
		st.mode, st.axis, st.out = plan.StateAppend, axis, u
	case op.WriteRows:
		l.copyOld(st.in)
		before := l.main.after[u]
		back := false // against the order of capture, which is valid as long as nothing else is
		for _, n := range l.main.readers(st.in) {
			if n != u {
				l.main.after[u] = append(l.main.after[u], n)
				back = back || n.key > u.key
			}
		}
		l.main.target(u)
		if back || l.main.back {
			if _, ok := l.main.order(); !ok {
				l.main.after[u] = before
				return
			}
			l.main.back = true
		}
		l.main.reads(u, append([]*irNode{st.in}, u.in[1:]...))
		st.mode, st.out = plan.StateWrite, u
	}
}

// copyOld copies the outputs in the memory of a carried input that the run
// overwrites: they are read after the end of the run.
func (l *lowering) copyOld(in *irNode) {
	for i := range l.mainOuts {
		o := &l.mainOuts[i]
		x := l.main.current(o.src)
		if o.copied == nil && memoryOf(x) == in {
			o.copied = l.main.node(x.key)
			o.copied.kind, o.copied.op, o.copied.spec = lazy.KindOp, op.Contiguous{}, x.spec
			l.main.reads(o.copied, []*irNode{x})
			l.main.target(o.copied)
		}
	}
}

// memoryOf is the node that n is a view of.
func memoryOf(n *irNode) *irNode {
	for {
		if _, ok := n.op.(op.Viewer); !ok {
			return n
		}
		n = n.in[0]
	}
}

func throughIdentity(n *irNode) *irNode {
	for n.op != nil && n.op.Name() == "identity" {
		n = n.in[0]
	}
	return n
}

// readers lists the nodes that read n's memory, through views.
func (g *irGraph) readers(n *irNode) []*irNode {
	var out []*irNode
	seen := map[*irNode]bool{}
	for mem := []*irNode{n}; len(mem) > 0; {
		x := mem[len(mem)-1]
		mem = mem[:len(mem)-1]
		for _, m := range g.users[x] {
			if seen[m] || !slices.Contains(m.in, x) { // it read x once
				continue
			}
			seen[m] = true
			out = append(out, m)
			if _, ok := m.op.(op.Viewer); ok {
				mem = append(mem, m)
			}
		}
	}
	return out
}

// reads makes n read in.
func (g *irGraph) reads(n *irNode, in []*irNode) {
	n.in = in
	for _, x := range in {
		g.users[x] = append(g.users[x], n)
	}
}

// all lists the nodes in order of capture.
func (g *irGraph) all() []*irNode {
	out := make([]*irNode, 0, len(g.nodes))
	for _, n := range g.nodes {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *irNode) int { return a.key - b.key })
	return out
}

// leaves lists the nodes without an operator.
func (g *irGraph) leaves() []*irNode {
	return slices.DeleteFunc(g.all(), func(n *irNode) bool { return n.op != nil })
}
