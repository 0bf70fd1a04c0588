package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// memory places an array in device memory.
type memory uint8

const (
	dense   memory = iota
	turned         // axes in reverse order
	ragged         // odd gaps after rows
	shifted        // gaps after rows, and not aligned to vectors
	gapped         // gaps between elements
)

// place makes strides for a shape, and the elements that the memory has before
// the first one and in all.
func (m memory) place(shape []int) (strides []int, first, n int) {
	strides = make([]int, len(shape))
	step, order := 1, len(shape)-1
	if m == gapped {
		step = 2
	}
	for i := range shape {
		d := order - i
		if m == turned {
			d = i
		}
		strides[d] = step
		step *= max(shape[d], 1)
		switch {
		case m == ragged && i == 0:
			step += 3
		case m == shifted && i == 0:
			step += 8
		}
	}
	if m == shifted {
		first = 1
	}
	n = first + 1
	for d, s := range strides {
		n += max(shape[d]-1, 0) * s
	}
	return strides, first, n
}

// put copies an array to the device, into memory of exactly the size that its
// layout needs.
func (m *rig) put(a *op.Array, as memory) Tensor {
	m.t.Helper()
	strides, first, n := as.place(a.Shape)
	size := a.DType.Size()
	host := make([]byte, n*size)
	each(a.Shape, func(from, to int) {
		copy(host[(first+to)*size:][:size], a.Data[from*size:][:size])
	}, a.Strides, strides)
	at := m.alloc(len(host))
	m.in(at, host)
	return Tensor{At: at + driver.Ptr(first*size), DType: a.DType, Shape: slices.Clone(a.Shape), Strides: strides}
}

// room allocates an output. Its memory has a pattern that get expects in gaps.
func (m *rig) room(t plan.DType, shape []int, as memory) Tensor {
	m.t.Helper()
	strides, first, n := as.place(shape)
	at := m.alloc(n * t.Size())
	m.in(at, slices.Repeat([]byte{gap}, n*t.Size()))
	return Tensor{At: at + driver.Ptr(first*t.Size()), DType: t, Shape: slices.Clone(shape), Strides: strides}
}

const gap = 0xa5

// get reads an output and checks its gaps.
func (m *rig) get(t Tensor, as memory) *op.Array {
	m.t.Helper()
	strides, first, n := as.place(t.Shape)
	size := t.DType.Size()
	host := make([]byte, n*size)
	m.out(host, t.At-driver.Ptr(first*size))
	a := op.NewArray(t.DType, t.Shape...)
	each(t.Shape, func(to, from int) {
		at := host[(first+from)*size:][:size]
		copy(a.Data[to*size:][:size], at)
		for i := range at {
			at[i] = gap
		}
	}, a.Strides, strides)
	require.Equal(m.t, slices.Repeat([]byte{gap}, n*size), host, "something wrote outside of the output")
	return a
}

// each calls f with the offsets of each element in two layouts.
func each(shape []int, f func(a, b int), x, y []int) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	for i := range n {
		a, b, rest := 0, 0, i
		for d, size := range slices.Backward(shape) {
			at := rest % size
			rest /= size
			a, b = a+at*x[d], b+at*y[d]
		}
		f(a, b)
	}
}

// compute runs an operator on the device. Its inputs and output have the given
// layouts.
func (m *rig) compute(o op.Op, in []*op.Array, from, to memory) (*op.Array, error) {
	m.t.Helper()
	return m.computeEach(o, in, slices.Repeat([]memory{from}, len(in)), to)
}

// computeEach is compute with inputs of different layouts.
func (m *rig) computeEach(o op.Op, in []*op.Array, from []memory, to memory) (*op.Array, error) {
	m.t.Helper()
	defer m.free()
	out := m.room(output(m.t, o, in).DType, output(m.t, o, in).Shape, to)
	tensors := make([]Tensor, len(in))
	for i, a := range in {
		tensors[i] = m.put(a, from[i])
	}
	if err := m.operate(o, out, tensors); err != nil {
		return nil, err
	}
	return m.get(out, to), nil
}

// operate launches an operator of this file's table of cases.
func (m *rig) operate(o op.Op, out Tensor, in []Tensor) error {
	status := m.alloc(StatusBytes)
	m.in(status, make([]byte, StatusBytes))
	if err := m.launch(o, out, in, status); err != nil {
		return err
	}
	b := make([]byte, StatusBytes)
	m.out(b, status)
	s := DecodeStatus(b)
	if s.Code != StatusOK {
		require.Equal(m.t, group, s.Group)
	}
	return s.Err()
}

const group = 77

func (m *rig) launch(o op.Op, out Tensor, in []Tensor, status driver.Ptr) error {
	switch o := o.(type) {
	case op.BatchNorm:
		return m.set.BatchNorm(m.st, out, in[0], in[1], in[2], in[3], in[4], o.Eps)
	case op.CausalMask:
		var start Tensor
		if len(in) > 1 {
			start = in[1]
		}
		return m.set.CausalMask(m.st, out, in[0], start, o.Window)
	case op.Contiguous, op.Identity, op.Expand:
		return m.set.Copy(m.st, out, in[0])
	case op.Transpose:
		x := in[0]
		x.Shape, x.Strides = out.Shape, make([]int, len(o.Perm))
		for i, p := range o.Perm {
			x.Strides[i] = in[0].Strides[p]
		}
		return m.set.Copy(m.st, out, x)
	case op.Embedding:
		return m.set.Embedding(m.st, out, in[0], in[1], status, group)
	case op.LayerNorm:
		return m.set.LayerNorm(m.st, out, in[0], inputOf(in, 1), inputOf(in, 2), o.Eps)
	case op.LogSoftmax:
		return m.set.LogSoftmax(m.st, out, in[0], o.Axis)
	case op.RMSNorm:
		return m.set.RMSNorm(m.st, o, out, in[0], inputOf(in, 1))
	case op.RoPE:
		return m.set.RoPE(m.st, o, out, in[0], in[1], in[2])
	case op.MaxPool2D:
		return m.set.MaxPool(m.st, o, out, in[0])
	case op.Pick:
		return m.set.Pick(m.st, out, in[0], in[1], status, group)
	case op.Reduce:
		return m.set.Reduce(m.st, o, out, in[0])
	case op.Softmax:
		return m.set.Softmax(m.st, out, in[0], o.Axis)
	}
	return m.set.Pointwise(m.st, o, out, in...)
}

// inputOf is input i, or none.
func inputOf(in []Tensor, i int) Tensor {
	if i < len(in) {
		return in[i]
	}
	return Tensor{}
}

// output is an array for the result of an operator.
func output(t *testing.T, o op.Op, in []*op.Array) *op.Array {
	t.Helper()
	var specs []plan.Spec
	for _, a := range in {
		specs = append(specs, plan.Spec{DType: a.DType, Shape: op.Static(a.Shape)})
	}
	spec, err := o.Infer(specs)
	require.NoError(t, err)
	shape, err := spec.Shape.Eval(nil)
	require.NoError(t, err)
	return op.NewArray(spec.DType, shape...)
}

// reference evaluates an operator by its own kernel.
func reference(t *testing.T, o op.Op, in []*op.Array) (*op.Array, error) {
	t.Helper()
	out := output(t, o, in)
	return out, o.Eval(out, in, nil)
}

// requireNear compares floats relatively to the largest one, and others exactly.
func requireNear(t *testing.T, want, got *op.Array, tolerance float64, what string) {
	t.Helper()
	require.Equal(t, want.Shape, got.Shape, what)
	if want.DType != plan.F32 {
		require.Equal(t, want.Data, got.Data, what)
		return
	}
	most := 0.0
	for _, v := range want.F32() {
		if a := math.Abs(float64(v)); !math.IsInf(a, 0) && a > most {
			most = a
		}
	}
	for i, v := range want.F32() {
		w, g := float64(v), float64(got.F32()[i])
		if w == g || w != w && g != g || math.Abs(w-g) <= tolerance*most {
			continue
		}
		require.Failf(t, what, "element %d is %v, want %v", i, g, w)
	}
}

// requireBits compares arrays exactly, except that NaN is one value.
func requireBits(t *testing.T, want, got *op.Array, what string) {
	t.Helper()
	require.Equal(t, want.Shape, got.Shape, what)
	if want.DType != plan.F32 {
		require.Equal(t, want.Data, got.Data, what)
		return
	}
	for i, w := range want.F32() {
		if g := got.F32()[i]; math.Float32bits(w) != math.Float32bits(g) && (w == w || g == g) {
			require.Failf(t, what, "element %d is %v, want %v", i, g, w)
		}
	}
}

// sequence is a generator of numbers that are the same each time.
type sequence uint64

func (r *sequence) next() uint32 {
	*r = *r*6364136223846793005 + 1442695040888963407
	return uint32(*r >> 33)
}

// operand describes an input: its type, shape, and the bound of indices.
type operand struct {
	t     plan.DType
	most  int
	shape []int
	abs   bool
}

func floats(shape ...int) operand   { return operand{t: plan.F32, shape: shape} }
func positive(shape ...int) operand { return operand{t: plan.F32, shape: shape, abs: true} }
func ints(t plan.DType, most int, shape ...int) operand {
	return operand{t: t, most: most, shape: shape}
}

// make fills an array: floats are between -4 and 4.
func (o operand) make(seed int) *op.Array {
	r := sequence(seed)
	a := op.NewArray(o.t, o.shape...)
	for i := range a.Len() {
		v := r.next()
		switch o.t {
		case plan.F32:
			f := float32(int32(v<<1)) / (1 << 29)
			if o.abs {
				f = float32(math.Abs(float64(f)))
			}
			binary.LittleEndian.PutUint32(a.Data[4*i:], math.Float32bits(f))
		case plan.Bool:
			a.Data[i] = byte(v >> 8 & 1)
		default:
			a.SetInt(i, int(v>>8)%o.most)
		}
	}
	return a
}

func (o operand) String() string { return fmt.Sprint(o.t, o.shape) }
