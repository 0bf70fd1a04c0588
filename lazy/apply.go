package lazy

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Operator is an operator in the form of a plan: the name of one of this
// module's operators, and attributes that are data.
type Operator interface {
	Name() string
	Attrs() plan.Attrs
}

// Apply adds an operator. The typed functions of this package call it. It is
// exported for programs that have operators as data, for example from another
// graph's [Tensor.Op] or from a plan. An operator that this module does not
// have is an error, and so are attributes and inputs that the operator does not
// accept.
func Apply(o Operator, in ...*Tensor) *Tensor {
	if o == nil {
		o = unnamed{}
	}
	var g *Graph
	for _, t := range in {
		if t != nil && t.g != nil {
			g = t.g
			break
		}
	}
	if g == nil {
		err := fmt.Errorf("%w: no input belongs to a graph", ErrCapture)
		for _, t := range in {
			err = errors.Join(err, t.Err())
		}
		return g.fail(o.Name(), in, err)
	}
	for _, t := range in {
		if err := check(g, t); err != nil {
			return g.fail(o.Name(), in, err)
		}
	}
	impl, err := implementation(o)
	if err != nil {
		return g.fail(o.Name(), in, err)
	}
	return g.apply(impl, in)
}

// Apply is [Apply] on g: an operator without inputs has no other graph.
func (g *Graph) Apply(o Operator, in ...*Tensor) *Tensor {
	if o == nil || len(in) > 0 {
		return Apply(o, in...)
	}
	impl, err := implementation(o)
	if err != nil {
		return g.fail("apply", in, err)
	}
	return g.apply(impl, nil)
}

// unnamed stands in for the nil operator.
type unnamed struct{}

func (unnamed) Name() string      { return "" }
func (unnamed) Attrs() plan.Attrs { return nil }

// implementation is o itself, when it comes from this module.
func implementation(o Operator) (op.Op, error) {
	if impl, ok := o.(op.Op); ok {
		return impl, nil
	}
	return op.New(o.Name(), o.Attrs())
}

func (g *Graph) apply(o op.Op, in []*Tensor) *Tensor {
	if c, ok := o.(op.Custom); ok {
		o = g.first(c)
	}
	ss := g.specs[:0]
	for _, t := range in {
		ss = append(ss, t.spec)
	}
	g.specs = ss
	spec, err := o.Infer(ss)
	if err == nil && len(spec.Shape) > plan.MaxRank {
		err = fmt.Errorf("%w: rank %d, the limit is %d", ErrShape, len(spec.Shape), plan.MaxRank)
	}
	for _, d := range spec.Shape {
		if err == nil && d.Err() != nil {
			err = fmt.Errorf("%w: %w", ErrShape, d.Err())
		}
	}
	if err != nil {
		return g.fail(o.Name(), in, err)
	}
	n, err := g.applyNode(o, in, ss, spec)
	if err != nil {
		return g.fail(o.Name(), in, err)
	}
	t := &Tensor{node: lazygraph.NewTensor(o, n), g: g, id: len(g.tensors), in: in, spec: spec}
	t.recordCallers()
	g.tensors = append(g.tensors, t)
	return t
}

func (g *Graph) applyNode(o op.Op, in []*Tensor, inSpecs []plan.Spec, spec plan.Spec) (*gorgonia.Node, error) {
	if lazygraph.Expr(g) == nil {
		return nil, nil //nolint:nilnil // a detached graph has no nodes
	}
	n := lazygraph.NewOp(o, uint32(len(g.tensors)), inSpecs, spec, g.placeholder(spec.Shape))
	kids := make([]*gorgonia.Node, len(in))
	for i, t := range in {
		kids[i] = lazygraph.Node(t)
	}
	return lazygraph.Apply(lazygraph.Expr(g), n, kids...)
}
