package op_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

func ints(dt plan.DType, v ...int) *op.Array {
	a := op.NewArray(dt, len(v))
	for i, x := range v {
		a.SetInt(i, x)
	}
	return a
}

func TestEvalErrors(t *testing.T) {
	table := op.FromF32([]float32{1, 2, 3, 4}, 2, 2)
	for _, i := range []int{-1, 2, math.MaxInt32} {
		err := op.Embedding{}.Eval(op.NewArray(plan.F32, 1, 2), []*op.Array{table, ints(plan.I32, i)}, nil)
		require.ErrorIs(t, err, op.ErrIndex)
	}
	for _, pos := range []int{-1, 2, math.MaxInt64, math.MinInt64} {
		err := op.WriteRows{}.Eval(op.NewArray(plan.F32, 2, 2), []*op.Array{table, op.FromF32([]float32{9, 9}, 1, 2), ints(plan.I64, pos)}, nil)
		require.ErrorIs(t, err, op.ErrShape, "position %d", pos)
	}
	err := op.Slice{Start: plan.C(1)}.Eval(op.NewArray(plan.F32, 2, 2), []*op.Array{table}, nil)
	require.ErrorIs(t, err, op.ErrShape)
	err = op.Slice{Start: plan.Sym("s")}.Eval(op.NewArray(plan.F32, 2, 2), []*op.Array{table}, nil)
	require.ErrorIs(t, err, op.ErrShape)
	err = op.ArgMax{Axis: 1}.Eval(op.NewArray(plan.I32, 2), []*op.Array{op.NewArray(plan.F32, 2, 0)}, nil)
	require.ErrorIs(t, err, op.ErrShape)
}

// TestWriteRowsInPlace writes into the cache's own memory.
func TestWriteRowsInPlace(t *testing.T) {
	cache := op.FromF32([]float32{0, 1, 2, 3, 4, 5}, 3, 2)
	require.NoError(t, op.WriteRows{}.Eval(cache, []*op.Array{cache, op.FromF32([]float32{9, 8}, 1, 2), ints(plan.I32, 1)}, nil))
	require.Equal(t, []float32{0, 1, 9, 8, 4, 5}, cache.F32())
}

func TestCastNumbers(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	in := op.FromF32([]float32{float32(nan), float32(inf), float32(-inf), 1e20, -1e20, 2147483648, -0.9}, 7)
	i32 := op.NewArray(plan.I32, 7)
	require.NoError(t, op.Cast{To: plan.I32}.Eval(i32, []*op.Array{in}, nil))
	require.Equal(t, []int32{0, math.MaxInt32, math.MinInt32, math.MaxInt32, math.MinInt32, math.MaxInt32, 0}, i32.I32())
	i64 := op.NewArray(plan.I64, 7)
	require.NoError(t, op.Cast{To: plan.I64}.Eval(i64, []*op.Array{in}, nil))
	require.Equal(t, []int64{0, math.MaxInt64, math.MinInt64, math.MaxInt64, math.MinInt64, 2147483648, 0}, i64.I64())
	b := op.NewArray(plan.Bool, 7)
	require.NoError(t, op.Cast{To: plan.Bool}.Eval(b, []*op.Array{in}, nil))
	require.Equal(t, []byte{1, 1, 1, 1, 1, 1, 1}, b.Data)
	odd := &op.Array{DType: plan.Bool, Shape: []int{1}, Strides: []int{1}, Data: []byte{7}} // a non-canonical true
	one := op.NewArray(plan.I32, 1)
	require.NoError(t, op.Cast{To: plan.I32}.Eval(one, []*op.Array{odd}, nil))
	require.Equal(t, []int32{1}, one.I32())
}

// TestZeroSizes evaluates every operator that allows it on empty inputs.
func TestZeroSizes(t *testing.T) {
	for _, c := range []struct {
		op op.Op
		in []plan.Spec
	}{
		{op.Add(), []plan.Spec{f32(0, 3), f32(3)}},
		{op.Softmax{Axis: 0}, []plan.Spec{f32(0, 3)}},
		{op.Softmax{Axis: 1}, []plan.Spec{f32(0, 3)}},
		{op.LayerNorm{}, []plan.Spec{f32(2, 0), f32(0), f32(0)}},
		{op.MatMul{}, []plan.Spec{f32(2, 0, 3), f32(3, 4)}},
		{op.Reduce{Kind: "sum", Axes: []int{0}}, []plan.Spec{f32(0, 3)}},
		{op.Reduce{Kind: "mean", Axes: []int{0}}, []plan.Spec{f32(0, 3)}},
		{op.Reduce{Kind: "max", Axes: []int{1}}, []plan.Spec{f32(0, 3)}},
		{op.ArgMax{Axis: 1}, []plan.Spec{f32(0, 3)}},
		{op.TopK{K: 2}, []plan.Spec{f32(0, 3)}},
		{op.Concat{}, []plan.Spec{f32(0, 3), f32(0, 3)}},
		{op.CausalMask{}, []plan.Spec{f32(2, 0, 4)}},
		{op.CausalMask{}, []plan.Spec{f32(0, 2, 4), i32(0)}},
		{op.Where{}, []plan.Spec{spec(plan.Bool, 0), f32(1), f32(0)}},
		{op.Transpose{Perm: []int{1, 0}}, []plan.Spec{f32(0, 3)}},
		{op.Slice{Axis: 1, Start: plan.C(3), Stop: plan.C(3)}, []plan.Spec{f32(2, 3)}},
		{op.Embedding{}, []plan.Spec{f32(0, 3), i32(0)}},
		{op.WriteRows{}, []plan.Spec{f32(0, 3), f32(0, 3), i32(1)}},
		{op.Sample{}, sampleSpecs(0, 9)},
		{op.Conv2D{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 1}, []plan.Spec{f32(0, 1, 3, 3), f32(0, 1, 2, 2)}},
		{op.BatchNorm{}, []plan.Spec{f32(2, 3, 0), f32(3), f32(3), f32(3), f32(3)}},
		{op.MaxPool2D{Kernel: [2]int{1, 1}, Stride: [2]int{1, 1}}, []plan.Spec{f32(0, 1, 2, 2)}},
		{op.Cast{To: plan.I32}, []plan.Spec{f32(0)}},
	} {
		out, err := c.op.Infer(c.in)
		require.NoError(t, err, c.op.Name())
		var in []*op.Array
		for _, s := range c.in {
			dims, err := s.Shape.Eval(nil)
			require.NoError(t, err)
			in = append(in, op.NewArray(s.DType, dims...))
		}
		dims, err := out.Shape.Eval(nil)
		require.NoError(t, err)
		require.NoError(t, c.op.Eval(op.NewArray(out.DType, dims...), in, nil), c.op.Name())
	}
}

// TestMaskRange tests the window of keys at the corners.
func TestMaskRange(t *testing.T) {
	for _, c := range []struct{ window, i, q, k, start, lo, hi int }{
		{0, 0, 1, 1, 0, 0, 1},
		{0, 0, 3, 5, 0, 0, 3},
		{0, 2, 3, 5, 1, 1, 5},
		{2, 2, 3, 5, 0, 3, 5},
		{2, 0, 3, 5, 2, 2, 3},
		{0, 0, 5, 3, 0, 0, 0},
		{0, 1, 2, 2, -7, 0, 2},
	} {
		lo, hi := op.CausalMask{Window: c.window}.Range(c.i, c.q, c.k, c.start)
		require.Equal(t, [2]int{c.lo, c.hi}, [2]int{lo, hi}, "%+v", c)
	}
}

func TestBind(t *testing.T) {
	s := plan.Sym("s")
	o, err := op.Bind(op.Slice{Axis: 1, Start: s.Sub(plan.C(1)), Stop: s}, plan.Bindings{"s": 4})
	require.NoError(t, err)
	require.Equal(t, op.Slice{Axis: 1, Start: plan.C(3), Stop: plan.C(4)}.Attrs().Key(), o.Attrs().Key())
	_, err = op.Bind(op.Slice{Start: s.Sub(plan.C(1)), Stop: s}, plan.Bindings{"s": 0})
	require.ErrorIs(t, err, plan.ErrInvalid, "starts at -1")
	_, err = op.Bind(op.Reshape{Shape: plan.Shape{s}}, nil)
	require.ErrorIs(t, err, plan.ErrInvalid, "no size")
	o, err = op.Bind(op.Reshape{Shape: plan.Shape{s}}, plan.Bindings{"s": 6})
	require.NoError(t, err)
	require.Equal(t, "[6]", o.(op.Reshape).Shape.String())
}

// TestEvalKeepsNaN tests the operators that compare.
func TestEvalKeepsNaN(t *testing.T) {
	nan := float32(math.NaN())
	x := op.FromF32([]float32{1, nan, 3}, 1, 3)
	out := op.NewArray(plan.F32, 1, 3)
	require.NoError(t, op.ReLU{}.Eval(out, []*op.Array{x}, nil))
	require.True(t, math.IsNaN(float64(out.F32()[1])))
	m := op.NewArray(plan.F32, 1)
	require.NoError(t, op.Reduce{Kind: "max", Axes: []int{1}}.Eval(m, []*op.Array{x}, nil))
	require.True(t, math.IsNaN(float64(m.F32()[0])))
	i := op.NewArray(plan.I32, 1)
	require.NoError(t, op.ArgMax{Axis: 1}.Eval(i, []*op.Array{x}, nil))
	require.EqualValues(t, 2, i.I32()[0])
	k := op.NewArray(plan.I32, 1, 3)
	require.NoError(t, op.TopK{K: 3, Indices: true}.Eval(k, []*op.Array{x}, nil))
	require.Equal(t, []int32{2, 0, 1}, k.I32())
	require.Equal(t, binary.LittleEndian.Uint32(x.Data[4:]), math.Float32bits(x.F32()[1]), "inputs stay")
}
