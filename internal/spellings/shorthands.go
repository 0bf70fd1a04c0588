package spellings

import (
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// shorthand is the function of a call that is no operator of the table, or
// takes arguments that the operator lacks.
func shorthand(name string) func(b *builder, n node) (*lazy.Tensor, error) {
	switch name {
	case "const":
		return (*builder).constant
	case "weight":
		return (*builder).weight
	case "i32", "i64":
		return (*builder).integers
	case "reshape":
		return (*builder).reshape
	case "expand":
		return (*builder).expand
	case "unsqueeze":
		return (*builder).unsqueeze
	case "squeeze":
		return (*builder).squeeze
	case "swap":
		return (*builder).swap
	case "slice":
		return (*builder).slice
	case "stack":
		return (*builder).stack
	case "square":
		return (*builder).square
	case "linear":
		return (*builder).linear
	case "cast":
		return (*builder).cast
	case "reduce_mean", "reduce_sum", "reduce_max", "reduce_min", "reduce_prod":
		return (*builder).reduce
	}
	return nil
}

// reduce has one axis or several, negative ones too, which it retains unless
// keep=false.
func (b *builder) reduce(n node) (*lazy.Tensor, error) {
	x, err := b.one(n)
	if err != nil {
		return nil, err
	}
	v, ok := n.attr("axes")
	if !ok {
		v, _ = n.attr("axis")
	}
	axes, err := b.axes(v, len(x.Shape()))
	if err != nil {
		return nil, err
	}
	keep, _ := n.attr("keep")
	return lazy.Apply(op.Reduce{Kind: strings.TrimPrefix(n.name, "reduce_"), Axes: axes, Keep: keep.name != "false"}, x), nil
}

// reshape computes one dimension that is -1.
func (b *builder) reshape(n node) (*lazy.Tensor, error) {
	x, err := b.one(n)
	if err != nil {
		return nil, err
	}
	var dims []any
	for _, d := range n.shapeAttr("shape") {
		if d.kind == number && d.num == -1 {
			dims = append(dims, -1)
			continue
		}
		s, err := b.dim(d)
		if err != nil {
			return nil, err
		}
		dims = append(dims, s)
	}
	return lazy.Reshape(x, dims...), nil
}

func (b *builder) expand(n node) (*lazy.Tensor, error) {
	x, err := b.one(n)
	if err != nil {
		return nil, err
	}
	s, err := b.shape(n.shapeAttr("shape"))
	return lazy.Apply(op.Expand{Shape: s}, x), err
}

// unsqueeze adds axes of size one at positions of the output.
func (b *builder) unsqueeze(n node) (*lazy.Tensor, error) {
	x, err := b.one(n)
	if err != nil {
		return nil, err
	}
	v, ok := n.attr("axes")
	if !ok {
		v, _ = n.attr("axis")
	}
	count := 1
	if v.kind == list {
		count = len(v.args)
	}
	axes, err := b.axes(v, len(x.Shape())+count)
	if err != nil {
		return nil, err
	}
	s := slices.Clone(x.Shape())
	slices.Sort(axes)
	for _, a := range axes {
		s = slices.Insert(s, a, plan.C(1))
	}
	return lazy.Apply(op.Reshape{Shape: s}, x), nil
}

// squeeze drops axes of size one.
func (b *builder) squeeze(n node) (*lazy.Tensor, error) {
	x, err := b.one(n)
	if err != nil {
		return nil, err
	}
	v, ok := n.attr("axes")
	if !ok {
		v, _ = n.attr("axis")
	}
	axes, err := b.axes(v, len(x.Shape()))
	if err != nil {
		return nil, err
	}
	var s plan.Shape
	for i, d := range x.Shape() {
		if !slices.Contains(axes, i) {
			s = append(s, d)
		} else if !d.Is(1) {
			return nil, n.at.errorf("axis %d of %v has another size than one", i, x.Shape())
		}
	}
	return lazy.Apply(op.Reshape{Shape: s}, x), nil
}

// swap exchanges two axes.
func (b *builder) swap(n node) (*lazy.Tensor, error) {
	x, err := b.one(n)
	if err != nil {
		return nil, err
	}
	v, _ := n.attr("axes")
	axes, err := b.axes(v, len(x.Shape()))
	if err != nil || len(axes) != 2 {
		return nil, n.at.errorf("swap wants two axes: %v", err)
	}
	perm := make([]int, len(x.Shape()))
	for i := range perm {
		perm[i] = i
	}
	perm[axes[0]], perm[axes[1]] = axes[1], axes[0]
	return lazy.Apply(op.Transpose{Perm: perm}, x), nil
}

func (b *builder) square(n node) (*lazy.Tensor, error) {
	x, err := b.one(n)
	if err != nil {
		return nil, err
	}
	return lazy.Mul(x, x), nil
}

func (b *builder) linear(n node) (*lazy.Tensor, error) {
	in, err := b.tensors(n.args)
	if err != nil {
		return nil, err
	}
	switch len(in) {
	case 2:
		return lazy.MatMul(in[0], in[1]), nil
	case 3:
		return lazy.Linear(in[0], in[1], in[2]), nil
	}
	return nil, n.at.errorf("linear of %d values, want two or three", len(in))
}

func (b *builder) cast(n node) (*lazy.Tensor, error) {
	x, err := b.one(n)
	if err != nil {
		return nil, err
	}
	v, _ := n.attr("to")
	dt, err := plan.ParseDType(v.name)
	if err != nil {
		return nil, n.at.errorf("%w", err)
	}
	return lazy.Cast(x, dt), nil
}

// stack joins values along a new axis.
func (b *builder) stack(n node) (*lazy.Tensor, error) {
	in, err := b.tensors(n.args)
	if err != nil || len(in) == 0 {
		return nil, n.at.errorf("stack of %d values: %v", len(in), err)
	}
	v, _ := n.attr("axis")
	axis, err := b.axis(v, len(in[0].Shape())+1)
	if err != nil {
		return nil, err
	}
	for i, t := range in {
		in[i] = lazy.Apply(op.Reshape{Shape: slices.Insert(slices.Clone(t.Shape()), min(axis, len(t.Shape())), plan.C(1))}, t)
	}
	return lazy.Concat(axis, in...), nil
}
