package genie

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Value is a tensor with numbers, here or on an executor; where it is does not
// show until it is read. It is safe for concurrent use and may be fed to any
// session of any client. A value on an executor belongs to its session and is gone
// when that closes, unless it was read before.
type Value struct {
	t    transport.Tensor
	kept *kept // of a value on an executor; nil for one that is here
}

// kept is a value on an executor.
type kept struct {
	s    *Session
	from transport.Session // the session's half that has it
	h    transport.Handle
	turn chan struct{} // one token: who has it fetches
	here atomic.Pointer[[]byte]
}

// fetch brings the value here, once for all callers, who wait for each other no
// longer than their contexts.
func (k *kept) fetch(ctx context.Context) ([]byte, error) {
	if b := k.here.Load(); b != nil {
		return *b, nil
	}
	if err := take(ctx, k.turn, "a value"); err != nil {
		return nil, err
	}
	defer func() { k.turn <- struct{}{} }()
	if b := k.here.Load(); b != nil {
		return *b, nil
	}
	t, err := k.from.Read(ctx, k.h)
	if err != nil {
		return nil, err
	}
	k.here.Store(&t.Data)
	return t.Data, nil
}

// FromTensor makes a value of host memory, which is not copied: it must not change
// while a run is fed with it.
func FromTensor(t transport.Tensor) *Value { return &Value{t: t} }

// Float32s makes a value from float32 elements, row-major, which are copied.
func Float32s(data []float32, shape ...int) *Value {
	b := make([]byte, 0, len(data)*4)
	for _, v := range data {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return FromTensor(transport.Tensor{DType: plan.F32, Shape: shape, Data: b})
}

// Int32s makes a value from int32 elements, row-major, which are copied.
func Int32s(data []int32, shape ...int) *Value {
	b := make([]byte, 0, len(data)*4)
	for _, v := range data {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return FromTensor(transport.Tensor{DType: plan.I32, Shape: shape, Data: b})
}

// Int64s makes a value from int64 elements, row-major, which are copied.
func Int64s(data []int64, shape ...int) *Value {
	b := make([]byte, 0, len(data)*8)
	for _, v := range data {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return FromTensor(transport.Tensor{DType: plan.I64, Shape: shape, Data: b})
}

// DType is the element type.
func (v *Value) DType() plan.DType { return v.t.DType }

// Shape is the shape, which must not be changed.
func (v *Value) Shape() []int { return v.t.Shape }

// Remote reports whether the numbers are on an executor.
func (v *Value) Remote() bool { return v.kept != nil }

// Tensor reads the value; one on an executor is fetched, once for all readers, who
// wait for each other no longer than their contexts. The memory is the value's own.
func (v *Value) Tensor(ctx context.Context) (transport.Tensor, error) {
	t := v.t
	if v.kept != nil {
		var err error
		if t.Data, err = v.kept.fetch(ctx); err != nil {
			return transport.Tensor{}, err
		}
	}
	return t, nil
}

// Float32s copies the elements of an f32 value.
func (v *Value) Float32s(ctx context.Context) ([]float32, error) {
	t, err := v.read(ctx, plan.F32)
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(t.Data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return out, nil
}

// Int32s copies the elements of an i32 value.
func (v *Value) Int32s(ctx context.Context) ([]int32, error) {
	t, err := v.read(ctx, plan.I32)
	if err != nil {
		return nil, err
	}
	out := make([]int32, len(t.Data)/4)
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return out, nil
}

func (v *Value) read(ctx context.Context, want plan.DType) (transport.Tensor, error) {
	if v.t.DType != want {
		return transport.Tensor{}, fmt.Errorf("%w: value is %v, read as %v", ErrDType, v.t.DType, want)
	}
	return v.Tensor(ctx)
}

// Release gives a value on an executor back before its session closes. It
// does nothing for a value that is here.
func (v *Value) Release(ctx context.Context) error {
	if v.kept == nil {
		return nil
	}
	return v.kept.from.Release(ctx, v.kept.h)
}
