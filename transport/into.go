package transport

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/transport/plan"
)

// CheckInto verifies that [Call.Into] has the lengths of the outputs of p. An
// executor calls it before the run, so that no run succeeds whose result has no
// place.
func (c *Call) CheckInto(p *plan.Plan) error {
	if c.Into == nil {
		return nil
	}
	symbols := p.Symbols()
	if len(c.Into) != len(p.Outputs) || len(c.Bindings) != len(symbols) {
		return fmt.Errorf("%w: memory for %d outputs and %d bindings, the plan has %d and %d",
			ErrShape, len(c.Into), len(c.Bindings), len(p.Outputs), len(symbols))
	}
	b := make(plan.Bindings, len(symbols))
	for i, name := range symbols {
		b[name] = c.Bindings[i]
	}
	for i, o := range p.Outputs {
		if c.Into[i] == nil || o.Place != plan.Download {
			continue
		}
		spec := &p.Values[o.Value].Spec
		shape, err := spec.Shape.Eval(b)
		if err != nil {
			return fmt.Errorf("%w: output %q: %w", ErrShape, o.Name, err)
		}
		n := int64(spec.DType.Size())
		for _, d := range shape {
			n, _ = plan.MulChecked(n, int64(d)) // what cannot be counted is no length either
		}
		if n != int64(len(c.Into[i])) {
			return fmt.Errorf("%w: output %q has %d bytes, its memory %d", ErrShape, o.Name, n, len(c.Into[i]))
		}
	}
	return nil
}

// OutputMemory is the memory for output i, which has n bytes: that of [Call.Into],
// or new.
func (c *Call) OutputMemory(i, n int) []byte {
	if i < len(c.Into) && len(c.Into[i]) == n && c.Into[i] != nil {
		return c.Into[i]
	}
	return make([]byte, n)
}

// IntoReader is a session that reads a retained value into memory of the caller.
type IntoReader interface {
	// ReadInto is [Session.Read] into dst, which has exactly the length of the
	// value; otherwise it is [ErrShape]. When it has returned, nothing writes to
	// dst; after an error its content is undefined.
	ReadInto(ctx context.Context, h Handle, dst []byte) (Tensor, error)
}
