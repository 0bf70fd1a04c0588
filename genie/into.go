package genie

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// RunInto is [Session.Run] with memory for the results: into has an entry for each
// of outputs, exactly as long as the result, or nil for memory of its own. A large
// result costs neither a copy nor fresh memory then. The values have that memory,
// so they change with it. After an error its content is undefined.
func (s *Session) RunInto(ctx context.Context, feed Feed, into [][]byte, outputs ...*lazy.Tensor) ([]*Value, error) {
	if len(into) != len(outputs) {
		return nil, fmt.Errorf("%w: memory for %d of %d outputs", ErrShape, len(into), len(outputs))
	}
	return s.run(ctx, feed, false, into, outputs)
}

// ReadInto reads the value into dst, which has exactly the value's length, as
// [Value.Bytes] gives it. One on an executor is fetched straight into dst, and
// stays there. After an error the content of dst is undefined.
func (v *Value) ReadInto(ctx context.Context, dst []byte) error {
	if n := v.t.Elements() * v.t.DType.Size(); n != len(dst) {
		return fmt.Errorf("%w: value is %v%v, %d bytes, read into %d", ErrShape, v.t.DType, v.t.Shape, n, len(dst))
	}
	if v.kept != nil {
		return v.kept.fetchInto(ctx, dst)
	}
	t, err := v.read(ctx, v.t.DType)
	copy(dst, t.Data)
	return err
}

// fetchInto fetches the value into dst.
func (k *kept) fetchInto(ctx context.Context, dst []byte) error {
	direct, ok := k.from.(transport.IntoReader)
	if ok && k.here.Load() == nil {
		if err := take(ctx, k.turn, "a value"); err != nil {
			return err
		}
		defer func() { k.turn <- struct{}{} }()
		if k.here.Load() == nil {
			_, err := direct.ReadInto(ctx, k.h, dst)
			return err
		}
		copy(dst, *k.here.Load())
		return nil
	}
	b, err := k.fetch(ctx)
	if err != nil {
		return err
	}
	if len(b) != len(dst) {
		return fmt.Errorf("%w: the executor has %d bytes of a value of %d", ErrShape, len(b), len(dst))
	}
	copy(dst, b)
	return nil
}

// checkInto verifies that the memory for results has their lengths.
func (l *loop) checkInto(into [][]byte, outputs []*lazy.Tensor) error {
	for i, dst := range into {
		if dst == nil {
			continue
		}
		shape, err := outputs[i].Shape().Eval(l.names)
		if err != nil {
			return fmt.Errorf("%w: output %q: %w", ErrShape, outputs[i].Name(), err)
		}
		if n := (transport.Tensor{Shape: shape}).Elements() * outputs[i].DType().Size(); n != len(dst) {
			return fmt.Errorf("%w: output %q is %v%v, %d bytes, its memory has %d", ErrShape, outputs[i].Name(), outputs[i].DType(), shape, n, len(dst))
		}
	}
	return nil
}

// direct is the memory of results as the executor may fill it: not where another
// result or carried value shares it, or where the client partition makes it.
func (s *scheduled) direct(into [][]byte, p *plan.Plan) [][]byte {
	if into == nil {
		return nil
	}
	out := make([][]byte, len(p.Outputs))
	for i, r := range s.Results {
		if !r.Client && !s.copied[i] {
			out[r.Output] = into[i]
		}
	}
	return out
}

// settle gives result i the memory of the caller, with its elements, if there is
// any and the executor has not filled it.
func settle(into [][]byte, i int, t *transport.Tensor) {
	if into == nil || into[i] == nil || len(into[i]) == 0 || len(t.Data) != len(into[i]) {
		return
	}
	if &t.Data[0] != &into[i][0] {
		copy(into[i], t.Data)
		t.Data = into[i]
	}
}
