package spellings

import (
	"fmt"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Evaluate computes the outputs of a spelling as it is written, by the reference
// kernels.
func (c *Concept) Evaluate(s *Spelling, in map[string]Value, sizes plan.Bindings) (map[string]*op.Array, error) {
	g, _, err := c.Program(s, Args{Weight: func(name string, _ []int) []float32 { return in[name].Array().F32() }})
	if err != nil {
		return nil, err
	}
	at := make([]*op.Array, len(g.Tensors()))
	for i, x := range g.Tensors() {
		if at[i], err = evaluate(g, x, at, in, sizes); err != nil {
			return nil, fmt.Errorf("%s, %s: %v: %w", c.Name, s.Name, x, err)
		}
	}
	out := map[string]*op.Array{}
	for _, o := range g.Outputs() {
		out[o.Name] = at[o.Tensor.ID()]
	}
	return out, nil
}

// evaluate computes one tensor from those before it.
func evaluate(g *lazy.Graph, x *lazy.Tensor, at []*op.Array, in map[string]Value, sizes plan.Bindings) (*op.Array, error) {
	shape, err := x.Shape().Eval(sizes)
	if err != nil {
		return nil, err
	}
	out := op.NewArray(x.DType(), shape...)
	switch x.Kind() {
	case lazy.KindConst:
		copy(out.Data, x.ConstData())
		return out, nil
	case lazy.KindWeight:
		h, _ := x.WeightRef()
		w, err := g.Weight(h)
		copy(out.Data, w.Data)
		return out, err
	case lazy.KindInput:
		return in[x.Name()].Array(), nil
	case lazy.KindOp:
	}
	args := make([]*op.Array, len(x.In()))
	for i, y := range x.In() {
		args[i] = at[y.ID()]
	}
	o, err := op.Bind(lazygraph.Op(x), sizes)
	if err != nil {
		return nil, err
	}
	return out, o.Eval(out, args, nil)
}
