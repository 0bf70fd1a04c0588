package wire

import (
	"errors"
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Layout computes the sizes of a plan's inputs and outputs for given bindings.
// Client and worker each compute them: sizes are not sent, and what arrives is
// checked against them before memory is taken for it.
type Layout struct {
	Plan    *plan.Plan
	Symbols []string
}

// NewLayout reads the layout of p.
func NewLayout(p *plan.Plan) *Layout { return &Layout{Plan: p, Symbols: p.Symbols()} }

// Sizes are the sizes of one call.
type Sizes struct {
	Inputs  []uint64 // bytes of each input
	Outputs [][]int  // shape of each output
}

// Bind computes sizes; bindings are in the order of the plan's symbols.
func (l *Layout) Bind(bindings []int) (Sizes, error) {
	if len(bindings) != len(l.Symbols) {
		return Sizes{}, fmt.Errorf("%w: %d bindings for %d symbols", transport.ErrShape, len(bindings), len(l.Symbols))
	}
	b := make(plan.Bindings, len(bindings))
	for i, n := range bindings {
		if n < 0 || n > plan.MaxDimSize {
			return Sizes{}, fmt.Errorf("%w: %s is bound to %d", transport.ErrShape, l.Symbols[i], n)
		}
		b[l.Symbols[i]] = n
	}
	p := l.Plan
	s := Sizes{Inputs: make([]uint64, len(p.Inputs)), Outputs: make([][]int, len(p.Outputs))}
	for i, in := range p.Inputs {
		var err error
		s.Inputs[i], err = bound(&p.Values[in.Value].Spec, b)
		if errors.Is(err, transport.ErrLimit) {
			return Sizes{}, fmt.Errorf("%w (input %q)", err, in.Name)
		}
		if err != nil {
			return Sizes{}, fmt.Errorf("%w: input %q: %w", transport.ErrShape, in.Name, err)
		}
	}
	for i, out := range p.Outputs {
		shape, err := p.Values[out.Value].Spec.Shape.Eval(b)
		if err != nil {
			return Sizes{}, fmt.Errorf("%w: output %q: %w", transport.ErrShape, out.Name, err)
		}
		s.Outputs[i] = shape
	}
	return s, nil
}

// bound is the size of a tensor of a plan. It takes no memory: a plan may have
// many inputs, and a small message asks for the sizes of all of them.
func bound(spec *plan.Spec, b plan.Bindings) (uint64, error) {
	n := int64(spec.DType.Size())
	for _, d := range spec.Shape {
		k, err := d.Eval(b)
		if err != nil {
			return 0, err
		}
		var ok bool
		if n, ok = plan.MulChecked(n, int64(k)); !ok {
			shape, err := spec.Shape.Eval(b)
			if err != nil {
				return 0, err
			}
			return Bytes(spec.DType, shape)
		}
	}
	return uint64(n), nil
}

// Bytes is the size of a tensor. A size that cannot be counted is
// [transport.ErrLimit].
func Bytes(t plan.DType, shape []int) (uint64, error) {
	n := int64(t.Size())
	for _, d := range shape {
		product, ok := plan.MulChecked(n, int64(d))
		if !ok || d < 0 {
			return 0, fmt.Errorf("%w: tensor of %v%v", transport.ErrLimit, t, shape)
		}
		n = product
	}
	return uint64(n), nil
}
