package semantic

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// pruneRows moves slices towards the inputs, so that rows which nothing reads
// are not computed. Where all readers of a value take the same slice of it, and
// the operator works row by row along that axis, the operator runs on the slice
// of its inputs instead. Every element that is still computed has the same
// bits, since no kernel's result depends on the other rows.
func (g *irGraph) pruneRows() {
	order, ok := g.order()
	if !ok {
		return
	}
	users := map[*irNode][]*irNode{}
	for _, n := range order {
		for _, in := range n.in {
			users[in] = append(users[in], n)
		}
	}
	for _, x := range slices.Backward(order) {
		if x.op == nil || len(g.wanted[x]) > 0 {
			continue
		}
		users[x] = slices.DeleteFunc(users[x], func(u *irNode) bool { return u.gone })
		if len(users[x]) == 0 {
			continue
		}
		sl, ok := users[x][0].op.(op.Slice)
		if !ok {
			continue
		}
		sl = normSlice(sl, x)
		same := true
		for _, u := range users[x] {
			o, ok := u.op.(op.Slice)
			same = same && ok && sameSlice(normSlice(o, x), sl)
		}
		if same {
			g.push(x, sl, users)
		}
	}
}

func normSlice(s op.Slice, x *irNode) op.Slice {
	if s.Axis < 0 {
		s.Axis += len(x.spec.Shape)
	}
	return s
}

func sameSlice(a, b op.Slice) bool {
	return a.Axis == b.Axis && a.Start.Equal(b.Start) && a.Stop.Equal(b.Stop)
}

// push replaces the slices of x by x's operator on slices of its inputs.
func (g *irGraph) push(x *irNode, sl op.Slice, users map[*irNode][]*irNode) {
	in := slices.Clone(x.in)
	specs := make([]plan.Spec, len(in))
	for i, y := range x.in {
		specs[i] = y.spec
	}
	axes, o, ok := op.Rows(x.op, specs, x.spec, sl)
	if !ok {
		return
	}
	for i, y := range x.in {
		if axes[i] >= 0 {
			s := g.node(x.key)
			s.op, s.in = op.Slice{Axis: axes[i], Start: sl.Start, Stop: sl.Stop}, []*irNode{y}
			spec, err := s.op.Infer([]plan.Spec{y.spec})
			if err != nil {
				return
			}
			s.kind, s.spec = lazy.KindOp, spec
			in[i] = s
		}
		specs[i] = in[i].spec
	}
	spec, err := o.Infer(specs)
	if err != nil || !spec.Shape.Equal(users[x][0].spec.Shape) {
		return
	}
	n := g.node(x.key)
	n.kind, n.op, n.in, n.spec = lazy.KindOp, o, in, spec
	x.gone = true
	for i, y := range x.in {
		if in[i] != y {
			users[y] = append(users[y], in[i])
		}
	}
	for _, y := range in {
		users[y] = append(users[y], n)
	}
	for _, u := range users[x] {
		g.replace(u, n, users)
	}
	delete(users, x)
}

// replace makes every reader of old read n.
func (g *irGraph) replace(old, n *irNode, users map[*irNode][]*irNode) {
	for _, u := range users[old] {
		for i := range u.in {
			if u.in[i] == old {
				u.in[i] = n
			}
		}
		users[n] = append(users[n], u)
	}
	delete(users, old)
	for _, i := range g.wanted[old] {
		g.targets[i] = n
	}
	if at := g.wanted[old]; len(at) > 0 {
		g.wanted[n] = append(g.wanted[n], at...)
		delete(g.wanted, old)
	}
	for _, id := range old.ids {
		g.nodes[id] = n
	}
	n.ids, old.ids = append(n.ids, old.ids...), nil
}
