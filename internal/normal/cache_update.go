package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// The updates of carried tensors: rows added to the carried tensor itself, and
// not to a view of it, so that they can be added in its memory.

// isCarried reports whether n is the value that a run begins with of a pair that
// is carried from run to run.
func (b *builder) isCarried(n *node) bool { return n.leaf != nil && b.carried[n.leaf] }

// updateBehindView adds rows to a carried tensor, and shows the result as the
// program does, where the program adds them to a reshape or transpose of it: a
// view less between the carried tensor and its update.
func updateBehindView(b *builder, n *node) (*node, bool) {
	view := n.in[0]
	if !view.is("reshape") && !view.is("transpose") {
		return nil, false
	}
	l := b.layoutOf(view)
	if !b.isCarried(l.base) || l.scale != 1 {
		return nil, false
	}
	axis, ok := updateAxis(n)
	if !ok {
		return nil, false
	}
	part, ok := l.axes.Sole(axis)
	if !ok || part.Axis == axes.Foreign || !part.Stride.Is(1) || !part.Size.Equal(l.base.dim(part.Axis)) {
		return nil, false // rows in the middle of an axis
	}
	inverse, ok := inverted(l.axes, l.base.rank())
	if !ok {
		return nil, false
	}
	in := []*node{l.base}
	for i, y := range n.in[1:] {
		if n.is("write_rows") && i == 1 {
			in = append(in, y)
			continue
		}
		m := slices.Clone(inverse)
		m[part.Axis] = axes.New(y.spec.Shape)[axis]
		in = append(in, b.arrange(y, m))
	}
	u := b.make(updateAlong(n.op, part.Axis), in...)
	if u == bad {
		return nil, false
	}
	shown := slices.Clone(l.axes)
	shown[axis] = axes.New(u.spec.Shape)[part.Axis]
	out := b.arrange(u, shown)
	return out, out != bad
}

// updateAxis is the axis along which an operator adds rows to its first input.
func updateAxis(n *node) (int, bool) {
	switch o := n.op.(type) {
	case op.Concat:
		return wrap(o.Axis, n), len(n.in) > 1
	case op.WriteRows:
		return wrap(o.Axis, n), true
	}
	return 0, false
}

func updateAlong(o op.Op, axis int) op.Op {
	if _, ok := o.(op.WriteRows); ok {
		return op.WriteRows{Axis: axis}
	}
	return op.Concat{Axis: axis}
}

// inverted expresses the origin's axes in those of a map, if it has all of them
// once.
func inverted(m axes.Map, rank int) (axes.Map, bool) {
	out := make(axes.Map, rank)
	type piece struct{ of, at axes.Part }
	pieces := make([][]piece, rank)
	for i, g := range m {
		inner := plan.C(1)
		for _, p := range slices.Backward(g) {
			if p.Axis == axes.Foreign {
				return nil, false
			}
			pieces[p.Axis] = append(pieces[p.Axis], piece{p, axes.Part{Axis: i, Stride: inner, Size: p.Size}})
			inner = inner.Mul(p.Size)
		}
	}
	for axis, list := range pieces {
		slices.SortStableFunc(list, func(a, b piece) int {
			if !a.of.Stride.Equal(b.of.Stride) && divides(a.of.Stride, b.of.Stride) {
				return 1
			}
			return -1
		})
		for _, p := range list {
			out[axis] = append(out[axis], p.at)
		}
	}
	return out, true
}

// stackedUpdate adds rows once to a carried tensor whose parts along an axis,
// such as the keys and the values, get rows each and are stacked again: as many
// updates less as there are parts but one.
func stackedUpdate(b *builder, n *node) (*node, bool) {
	stack := wrap(n.op.(op.Concat).Axis, n)
	var whole *node
	var first *node
	var rows []*node
	axis := 0
	for i, x := range n.in {
		u, at := x, stack
		if x.is("reshape") {
			u = x.in[0]
		}
		a, ok := updateAxis(u)
		if !ok {
			return nil, false
		}
		base, ok := b.partOf(u.in[0], at, i)
		if !ok || whole != nil && base != whole || !base.dim(at).Is(len(n.in)) {
			return nil, false
		}
		a, ok = unitAxis(u.spec.Shape, x.spec.Shape, a)
		if !ok || i > 0 && (a != axis || u.op.Name() != first.op.Name() || len(u.in) != len(first.in)) {
			return nil, false
		}
		if i == 0 {
			whole, first, axis = base, u, a
		}
		if u.is("write_rows") && u.in[2] != first.in[2] {
			return nil, false
		}
		added := u.in[1]
		if u.is("concat") && len(u.in) > 2 {
			o := u.op.(op.Concat)
			added = b.make(o, u.in[1:]...)
		}
		if added == bad {
			return nil, false
		}
		shape := slices.Clone(x.spec.Shape)
		shape[axis] = added.dim(mustAxis(u))
		rows = append(rows, b.reshape(added, shape...))
	}
	if axis == stack || slices.Contains(rows, bad) {
		return nil, false
	}
	in := []*node{whole, b.make(op.Concat{Axis: stack}, rows...)}
	if first.is("write_rows") {
		in = append(in, first.in[2])
	}
	out := b.make(updateAlong(first.op, axis), in...)
	return out, out != bad
}

// stackedSlices takes rows once from what is stacked, where a program takes the
// same rows of each part, such as the last of a window's keys and of its values,
// if the parts are updates of a carried tensor: as many slices less as there are
// parts but one.
func stackedSlices(b *builder, n *node) (*node, bool) {
	var first op.Slice
	axis := 0
	whole := make([]*node, 0, len(n.in))
	for i, x := range n.in {
		s := x
		if x.is("reshape") {
			s = x.in[0]
		}
		o, ok := s.op.(op.Slice)
		if !ok {
			return nil, false
		}
		from := s.in[0]
		a, ok := unitAxis(s.spec.Shape, x.spec.Shape, wrap(o.Axis, s))
		if _, updated := updateAxis(from); !ok || !updated || i > 0 && (a != axis || !o.Start.Equal(first.Start) || !o.Stop.Equal(first.Stop)) {
			return nil, false
		}
		if i == 0 {
			first, axis = o, a
		}
		shape := slices.Clone(x.spec.Shape)
		shape[axis] = from.dim(wrap(o.Axis, s))
		whole = append(whole, b.reshape(from, shape...))
	}
	stack := n.op.(op.Concat)
	if axis == wrap(stack.Axis, n) || slices.Contains(whole, bad) {
		return nil, false
	}
	y := b.make(stack, whole...)
	if _, ok := updateAxis(y); !ok || !b.isCarried(y.in[0]) {
		return nil, false
	}
	out := b.make(op.Slice{Axis: axis, Start: first.Start, Stop: first.Stop}, y)
	return out, out != bad
}

func mustAxis(u *node) int {
	axis, _ := updateAxis(u)
	return axis
}

// partOf is the carried tensor of which x is position i along an axis, with or
// without that axis.
func (b *builder) partOf(x *node, axis, i int) (*node, bool) {
	if x.is("reshape") {
		x = x.in[0]
	}
	o, ok := x.op.(op.Slice)
	if !ok || wrap(o.Axis, x) != axis || !o.Start.Is(i) || !o.Stop.Is(i+1) || !b.isCarried(x.in[0]) {
		return nil, false
	}
	return x.in[0], true
}

// unitAxis is the axis of a shape that an axis becomes when axes of size one are
// added.
func unitAxis(from, to plan.Shape, axis int) (int, bool) {
	m, ok := axes.New(from).Reshape(to)
	if !ok {
		return 0, false
	}
	for i := range m {
		if m.Is(i, axis) {
			return i, true
		}
	}
	return axis, from.Equal(to)
}

// whereWrite writes rows where a selection takes them at one position of a
// carried tensor: where(range == position, rows, old). It lowers the number of
// selections from carried tensors. A position outside of the tensor fails the
// run; the selection would have dropped the rows.
func whereWrite(b *builder, n *node) (*node, bool) {
	cond, rows, old := b.condition(n.in[0], false), n.in[1], n.in[2]
	if cond.is("not") {
		cond, rows, old = cond.in[0], old, rows
	}
	if base := b.layoutOf(old).base; !b.isCarried(base) || !sameSpec(old.spec, n.spec) || !cond.is("equal") {
		return nil, false
	}
	for i := range 2 {
		p, ok := b.positionsOf(cond.in[i])
		pos := cond.in[1-i]
		if !ok || !p.c.Is(0) || !pos.spec.Shape.Elements().Is(1) || !pos.spec.DType.IsInt() {
			continue
		}
		axis := -1
		for k, s := range p.step {
			if s != 0 && (s != 1 || axis >= 0) {
				return nil, false
			}
			if s == 1 {
				axis = n.rank() - 1 - k
			}
		}
		if at := axis - n.rank() + rows.rank(); axis < 0 || at >= 0 && !rows.spec.Shape[at].Is(1) {
			continue // the rows differ from position to position
		}
		shape := slices.Clone(old.spec.Shape)
		shape[axis] = plan.C(1)
		if !rows.spec.Shape.Equal(shape) {
			if rows = b.make(op.Expand{Shape: shape}, rows); rows == bad {
				return nil, false
			}
		}
		if pos = b.reshape(pos, plan.C(1)); pos == bad {
			return nil, false
		}
		out := b.make(op.WriteRows{Axis: axis}, old, rows, pos)
		return out, out != bad
	}
	return nil, false
}

// oneHotSum is a selection where a sum selects by multiplication: old*(1-m) +
// rows*m, with m zero or one and old a carried tensor. It lowers the number of products.
func oneHotSum(b *builder, n *node) (*node, bool) {
	x, y := n.in[0], n.in[1]
	if !x.is("mul") || !y.is("mul") {
		return nil, false
	}
	for i := range 2 {
		c, yes, no, ok := b.twoValued(x.in[i])
		for j := range 2 {
			d, yes2, no2, ok2 := b.twoValued(y.in[j])
			if !ok || !ok2 || c != d || yes+yes2 != 1 || no+no2 != 1 || yes*no != 0 || yes2*no2 != 0 {
				continue
			}
			one, other := x.in[1-i], y.in[1-j]
			if yes == 0 {
				one, other = other, one
			}
			if !b.isCarried(b.layoutOf(one).base) && !b.isCarried(b.layoutOf(other).base) {
				return nil, false
			}
			out := b.make(op.Where{}, c, one, other)
			return out, out != bad && sameSpec(out.spec, n.spec)
		}
	}
	return nil, false
}

// sliceUpdate writes rows where a program puts a carried tensor together from
// what is before them, the rows and what is after them: a concat less.
func sliceUpdate(b *builder, n *node) (*node, bool) {
	axis := wrap(n.op.(op.Concat).Axis, n)
	last := len(n.in) - 1
	if last < 2 {
		return nil, false
	}
	head, ok := n.in[0].op.(op.Slice)
	tail, ok2 := n.in[last].op.(op.Slice)
	if !ok || !ok2 || n.in[0].in[0] != n.in[last].in[0] || wrap(head.Axis, n.in[0]) != axis || wrap(tail.Axis, n.in[last]) != axis {
		return nil, false
	}
	old := n.in[0].in[0]
	size := plan.C(0)
	for _, x := range n.in[1:last] {
		size = size.Add(x.dim(axis))
	}
	whole := head.Start.Is(0) && tail.Stop.Equal(old.dim(axis)) && tail.Start.Sub(head.Stop).Equal(size)
	if !whole || !b.isCarried(b.layoutOf(old).base) {
		return nil, false
	}
	rows := b.concatOf(axis, n.in[1:last])
	all := b.make(op.Range{DType: plan.I64, Length: old.dim(axis).Add(plan.C(1)), Step: 1})
	if rows == bad || all == bad {
		return nil, false
	}
	pos := b.make(op.Slice{Axis: 0, Start: head.Stop, Stop: head.Stop.Add(plan.C(1))}, all)
	if pos == bad {
		return nil, false
	}
	out := b.make(op.WriteRows{Axis: axis}, old, rows, pos)
	return out, out != bad
}
