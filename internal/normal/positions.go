package normal

import (
	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// positions is an integer at each place of a tensor that is linear in the
// place: c plus, for each axis, a multiple of the index along it. Axes are
// counted from the last, so that it broadcasts as its tensor does.
type positions struct {
	step [plan.MaxRank]int
	c    plan.Dim
}

func (p positions) add(q positions, sign int) positions {
	for i := range p.step {
		p.step[i] += sign * q.step[i]
	}
	p.c = p.c.Add(q.c.Scale(sign))
	return p
}

func (p positions) times(k int) positions { return positions{c: plan.C(0)}.add(p, k) }

// positionsOf describes n if its elements are linear in their places: ranges,
// constants that count, numbers, and sums, differences and views of these.
func (b *builder) positionsOf(n *node) (positions, bool) {
	if r, ok := b.linear[n]; ok {
		return r.positions, r.ok
	}
	p, ok := b.findPositions(n)
	if b.linear == nil {
		b.linear = map[*node]linearResult{}
	}
	b.linear[n] = linearResult{p, ok}
	return p, ok
}

// linearResult is a memo of [builder.positionsOf].
type linearResult struct {
	positions
	ok bool
}

func (b *builder) findPositions(n *node) (positions, bool) {
	if n.constant {
		return countingConst(n)
	}
	if n.op == nil {
		return positions{}, false
	}
	if n.is("range") {
		return rangePositions(n)
	}
	var in []positions
	for _, x := range n.in {
		p, ok := b.positionsOf(x)
		if !ok {
			return p, false
		}
		in = append(in, p)
	}
	return throughPositions(n, in)
}

// throughPositions are those of n, given those of its inputs.
func throughPositions(n *node, in []positions) (positions, bool) {
	switch n.op.Name() {
	case "add":
		return in[0].add(in[1], 1), true
	case "sub":
		return in[0].add(in[1], -1), true
	case "neg":
		return in[0].times(-1), true
	case "mul":
		k, ok := in[1].c.Const()
		return in[0].times(k), ok && in[1].step == [plan.MaxRank]int{}
	case "cast":
		return in[0], n.spec.DType != plan.Bool
	case "identity", "contiguous":
		return in[0], true
	}
	return in[0].view(n)
}

// view are the positions after an operator that only moves elements.
func (p positions) view(n *node) (positions, bool) {
	from, to := n.in[0].rank(), n.rank()
	out := positions{c: p.c}
	switch o := n.op.(type) {
	case op.Transpose:
		for i, axis := range o.Perm {
			out.step[to-1-i] = p.step[from-1-axis]
		}
	case op.Expand:
		out = p
		for i, d := range n.in[0].spec.Shape {
			if d.Is(1) {
				out.step[from-1-i] = 0
			}
		}
	case op.Slice:
		axis := wrap(o.Axis, n.in[0])
		out = p
		out.c = out.c.Add(o.Start.Scale(p.step[from-1-axis]))
	case op.Reshape:
		m, ok := axes.New(n.in[0].spec.Shape).Reshape(n.spec.Shape)
		if !ok {
			return out, false
		}
		for axis, d := range n.in[0].spec.Shape {
			step := p.step[from-1-axis]
			if step == 0 || d.Is(1) {
				continue
			}
			at := -1
			for i := range m {
				if m.Is(i, axis) {
					at = i
				}
			}
			if at < 0 {
				return out, false
			}
			out.step[to-1-at] = step
		}
	default:
		return out, false
	}
	return out, true
}

// rangePositions are those of the operator range.
func rangePositions(n *node) (positions, bool) {
	p := positions{c: plan.C(0)}
	step, ok := attrDim(n.op, "step").Const()
	if !ok || n.rank() != 1 {
		return p, false
	}
	p.c, p.step[0] = attrDim(n.op, "start"), step
	return p, true
}

// attrDim is an attribute that is a dimension or an integer.
func attrDim(o op.Op, key string) plan.Dim {
	for _, a := range o.Attrs() {
		if a.Key != key {
			continue
		}
		if a.Kind == plan.AttrDims && len(a.Dims) == 1 {
			return a.Dims[0]
		}
		return plan.C(int(a.Int))
	}
	return plan.Dim{}
}

// countingConst reports whether a constant holds integers that are linear in
// their places: one number, or an arithmetic progression along one axis.
func countingConst(n *node) (positions, bool) {
	p := positions{c: plan.C(0)}
	shape, ok := static(n.spec.Shape)
	if !ok || len(n.data) > maxMaskBytes {
		return p, false
	}
	if v, ok := n.number(); ok {
		p.c = plan.C(int(v))
		return p, v == float64(int(v)) && v > -plan.MaxDimSize && v < plan.MaxDimSize
	}
	axis := -1
	for i, d := range shape {
		if d > 1 {
			if axis >= 0 {
				return p, false
			}
			axis = i
		}
	}
	v := n.numbers()
	if axis < 0 || len(v) < 2 {
		return p, false
	}
	step := v[1] - v[0]
	for i, x := range v {
		if x != v[0]+float64(i)*step {
			return p, false
		}
	}
	if v[0] != float64(int(v[0])) || step != float64(int(step)) {
		return p, false
	}
	p.c, p.step[len(shape)-1-axis] = plan.C(int(v[0])), int(step)
	return p, true
}

// number is the value of a constant of any type whose elements are all the same.
func (n *node) number() (float64, bool) {
	if v, ok := n.scalar(); ok {
		return float64(v), true
	}
	for n.op != nil && (n.is("reshape") || n.is("expand") || n.is("transpose") || n.is("slice")) {
		n = n.in[0]
	}
	if !n.constant || n.spec.DType == plan.F32 || len(n.data) > maxMaskBytes {
		return 0, false
	}
	v := n.ints()
	for _, x := range v {
		if x != v[0] {
			return 0, false
		}
	}
	if len(v) == 0 {
		return 0, false
	}
	return float64(v[0]), true
}

// numbers is the content of a constant of any type.
func (n *node) numbers() []float64 {
	var out []float64
	for _, x := range n.floats() {
		out = append(out, float64(x))
	}
	for _, x := range n.ints() {
		out = append(out, float64(x))
	}
	return out
}
