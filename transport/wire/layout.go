package wire

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Layout computes the sizes of a plan's inputs and outputs for given bindings.
// Client and worker each compute them: sizes are not sent, and what arrives is
// checked against them before memory is taken for it.
type Layout struct {
	Plan    *plan.Plan
	Symbols []string
	// Bound, if not nil, counts how often sizes were computed: once for each run on
	// either side, and once for all runs of a loop.
	Bound *atomic.Int64
}

// Sizes are the sizes of one call.
type Sizes struct {
	Inputs  []uint64 // bytes of each input
	Outputs [][]int  // shape of each output
}

// Bind computes sizes; bindings are in the order of the plan's symbols.
func (l *Layout) Bind(bindings []int) (Sizes, error) {
	b, err := l.named(bindings)
	if err != nil {
		return Sizes{}, err
	}
	s := Sizes{Outputs: make([][]int, len(l.Plan.Outputs))}
	if s.Inputs, err = l.inputs(b); err != nil {
		return Sizes{}, err
	}
	for i, out := range l.Plan.Outputs {
		shape, err := l.Plan.Values[out.Value].Spec.Shape.Eval(b)
		if err != nil {
			return Sizes{}, fmt.Errorf("%w: output %q: %w", transport.ErrShape, out.Name, err)
		}
		s.Outputs[i] = shape
	}
	return s, nil
}

// BindInputs computes the sizes of the inputs alone, in bytes: what has to be known
// before a run, whose outputs its engine computes the sizes of.
func (l *Layout) BindInputs(bindings []int) ([]uint64, error) {
	b, err := l.named(bindings)
	if err != nil {
		return nil, err
	}
	return l.inputs(b)
}

// named checks bindings and gives them the names of their symbols.
func (l *Layout) named(bindings []int) (plan.Bindings, error) {
	if l.Bound != nil {
		l.Bound.Add(1)
	}
	if len(bindings) != len(l.Symbols) {
		return nil, fmt.Errorf("%w: %d bindings for %d symbols", transport.ErrShape, len(bindings), len(l.Symbols))
	}
	b := make(plan.Bindings, len(bindings))
	for i, n := range bindings {
		if n < 0 || n > plan.MaxDimSize {
			return nil, fmt.Errorf("%w: %s is bound to %d", transport.ErrShape, l.Symbols[i], n)
		}
		b[l.Symbols[i]] = n
	}
	return b, nil
}

func (l *Layout) inputs(b plan.Bindings) ([]uint64, error) {
	sizes := make([]uint64, len(l.Plan.Inputs))
	for i, in := range l.Plan.Inputs {
		var err error
		sizes[i], err = bound(&l.Plan.Values[in.Value].Spec, b)
		if errors.Is(err, transport.ErrLimit) {
			return nil, fmt.Errorf("%w (input %q)", err, in.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: input %q: %w", transport.ErrShape, in.Name, err)
		}
	}
	return sizes, nil
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
