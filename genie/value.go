package genie

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Value is a tensor with numbers, in this process or on an executor; its
// location does not show until it is read. It is safe for concurrent use and
// may be fed to any session of any client. A value on an executor belongs to
// its session and is gone when that closes, unless it was read before.
type Value struct {
	t    transport.Tensor
	kept *kept // of a value on an executor; nil for one in this process
}

// kept is a value on an executor.
type kept struct {
	s    *Session
	from transport.Session // the session's half that has it
	h    transport.Handle
	turn chan struct{} // one token: its holder fetches
	here atomic.Pointer[[]byte]
}

// fetch fetches the value, once for all callers. A caller waits for another no
// longer than its own context.
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

// Bytes makes a value of any element type from its bytes, row-major and
// little-endian, which are not copied: the constructor for f16 and bf16, which Go has
// no types for.
func Bytes(dt plan.DType, data []byte, shape ...int) *Value {
	return FromTensor(transport.Tensor{DType: dt, Shape: shape, Data: data})
}

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

// Bools makes a value from booleans, row-major.
func Bools(data []bool, shape ...int) *Value {
	b := make([]byte, len(data))
	for i, v := range data {
		if v {
			b[i] = 1
		}
	}
	return FromTensor(transport.Tensor{DType: plan.Bool, Shape: shape, Data: b})
}

// DType is the element type.
func (v *Value) DType() plan.DType { return v.t.DType }

// Shape is the shape, which must not be changed.
func (v *Value) Shape() []int { return v.t.Shape }

// Remote reports whether the numbers are on an executor.
func (v *Value) Remote() bool { return v.kept != nil }

// Tensor reads the value. One on an executor is fetched, once for all readers;
// a reader waits for another no longer than its own context. The memory is the
// value's own.
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

// Bytes reads the elements of any type as they are: row-major, little-endian. The
// memory is the value's, see [Value.Tensor].
func (v *Value) Bytes(ctx context.Context) ([]byte, error) {
	t, err := v.read(ctx, v.t.DType)
	return t.Data, err
}

// Float32s copies the elements of an f32, f16 or bf16 value. Every number of the half
// types is one of float32, so widening them is exact: zeros keep their sign,
// subnormal numbers become normal ones, infinities stay what they are, and a NaN
// keeps its payload. [Value.Bytes] gives the halves as they are.
func (v *Value) Float32s(ctx context.Context) ([]float32, error) {
	t, err := v.read(ctx, plan.F32, plan.F16, plan.BF16)
	if err != nil {
		return nil, err
	}
	data, err := transport.Weight{Storage: t.DType, Data: t.Data}.Widened()
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
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

// Int64s reads the elements of an i64 value, or of an i32 value widened.
func (v *Value) Int64s(ctx context.Context) ([]int64, error) {
	t, err := v.read(ctx, plan.I64, plan.I32)
	if err != nil {
		return nil, err
	}
	size := t.DType.Size()
	out := make([]int64, len(t.Data)/size)
	for i := range out {
		if size == 4 {
			out[i] = int64(int32(binary.LittleEndian.Uint32(t.Data[4*i:])))
			continue
		}
		out[i] = int64(binary.LittleEndian.Uint64(t.Data[8*i:]))
	}
	return out, nil
}

// Bools reads the elements of a bool value.
func (v *Value) Bools(ctx context.Context) ([]bool, error) {
	t, err := v.read(ctx, plan.Bool)
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(t.Data))
	for i, b := range t.Data {
		out[i] = b != 0
	}
	return out, nil
}

// read fetches a value of one of the wanted types, and verifies that it has as
// many bytes as its shape says.
func (v *Value) read(ctx context.Context, want ...plan.DType) (transport.Tensor, error) {
	if dt := v.t.DType; !dt.Valid() || !slices.Contains(want, dt) {
		return transport.Tensor{}, fmt.Errorf("%w: value is %v, read as %v", ErrDType, dt, want[0])
	}
	t, err := v.Tensor(ctx)
	if err != nil {
		return transport.Tensor{}, err
	}
	if n := t.Elements() * t.DType.Size(); len(t.Data) != n {
		return transport.Tensor{}, fmt.Errorf("%w: value is %v%v and has %d bytes", ErrShape, t.DType, t.Shape, len(t.Data))
	}
	return t, nil
}

// Release gives a value on an executor back before its session closes. It
// does nothing for a value that is here.
func (v *Value) Release(ctx context.Context) error {
	if v.kept == nil {
		return nil
	}
	return v.kept.from.Release(ctx, v.kept.h)
}
