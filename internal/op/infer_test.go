package op_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// spec makes a type and shape: ints, symbol names or dimensions.
func spec(dt plan.DType, dims ...any) plan.Spec {
	s := plan.Spec{DType: dt, Shape: plan.Shape{}}
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			s.Shape = append(s.Shape, plan.C(d))
		case string:
			v, err := plan.ParseDim(d)
			if err != nil {
				panic(err)
			}
			s.Shape = append(s.Shape, v)
		}
	}
	return s
}

func f32(dims ...any) plan.Spec { return spec(plan.F32, dims...) }
func i32(dims ...any) plan.Spec { return spec(plan.I32, dims...) }
func i64(dims ...any) plan.Spec { return spec(plan.I64, dims...) }

func shape(dims ...any) plan.Shape { return f32(dims...).Shape }

func TestInfer(t *testing.T) {
	conv := op.Conv2D{Stride: [2]int{2, 2}, Pad: [2]int{3, 3}, Dilation: [2]int{1, 1}, Groups: 1}
	grouped := conv
	grouped.Groups = 2
	for _, c := range []struct {
		op   op.Op
		in   []plan.Spec
		want plan.Spec
	}{
		{op.Add(), []plan.Spec{f32("b", 1, 3), f32("s", 1)}, f32("b", "s", 3)},
		{op.Mul(), []plan.Spec{f32(), f32("b")}, f32("b")},
		{op.Bias{}, []plan.Spec{f32("b", "s", 3), f32(3)}, f32("b", "s", 3)},
		{op.Bias{}, []plan.Spec{f32("n"), f32("n")}, f32("n")},
		{op.ReLU{}, []plan.Spec{f32()}, f32()},
		{op.GELU{}, []plan.Spec{f32("a+b", 2)}, f32("a+b", 2)},
		{op.Softmax{Axis: -2}, []plan.Spec{f32("a", "b")}, f32("a", "b")},
		{op.LayerNorm{}, []plan.Spec{f32("b", 8), f32(8), f32(8)}, f32("b", 8)},
		{op.LayerNorm{}, []plan.Spec{f32("b", "n"), f32("n")}, f32("b", "n")},
		{op.LayerNorm{}, []plan.Spec{f32("n")}, f32("n")},
		{op.RMSNorm{Offset: 1}, []plan.Spec{f32("b", 8), f32(8)}, f32("b", 8)},
		{op.RMSNorm{}, []plan.Spec{f32("b", 8)}, f32("b", 8)},
		{op.LogSoftmax{Axis: -2}, []plan.Spec{f32("a", "b")}, f32("a", "b")},
		{op.RoPE{}, []plan.Spec{f32("b", 8, "s", 64), f32("s", 32), f32("b", 1, "s", 32)}, f32("b", 8, "s", 64)},
		{op.RoPE{Dims: 16}, []plan.Spec{f32("s", 64), f32(8), f32(1, 8)}, f32("s", 64)},
		{op.RoPE{}, []plan.Spec{f32("s", "2*n"), f32("n"), f32("n")}, f32("s", "2*n")},
		{op.Attention{Mask: "none"}, []plan.Spec{f32("b", 16, "q", 64), f32("b", 4, "k", 64), f32("b", 4, "k", 32)}, f32("b", 16, "q", 32)},
		{op.Attention{Mask: "none"}, []plan.Spec{f32("4*n", "q", 64), f32("n", "k", 64), f32("n", "k", 64)}, f32("4*n", "q", 64)},
		{op.Attention{Mask: "none"}, []plan.Spec{f32(0, "q", 64), f32(0, "k", 64), f32(0, "k", 64)}, f32(0, "q", 64)},
		{op.Attention{Mask: "add"}, []plan.Spec{f32("b", 2, 3, "q", 5), f32("b", 2, 3, "k", 5), f32("b", 2, 3, "k", 5), f32("b", 1, 1, 1, "k")}, f32("b", 2, 3, "q", 5)},
		{
			op.Attention{Mask: "bool", Start: true, Causal: true, Window: 3},
			[]plan.Spec{f32("b", 3, "q", 5), f32("b", 1, "k", 5), f32("b", 1, "k", 5), spec(plan.Bool, "q", "k"), i32("b")}, f32("b", 3, "q", 5),
		},
		{op.Embedding{}, []plan.Spec{f32("v", 8), i64("b", "s")}, f32("b", "s", 8)},
		{op.Embedding{}, []plan.Spec{f32(9, 8), i32()}, f32(8)},
		{op.MatMul{}, []plan.Spec{f32("b", "s", 8), f32(8, 16)}, f32("b", "s", 16)},
		{op.MatMul{TransB: true}, []plan.Spec{f32("b", 12, "s", 64), f32("b", 12, "past+s", 64)}, f32("b", 12, "s", "past+s")},
		{op.MatMul{TransA: true}, []plan.Spec{f32(5, "m"), f32("b", 5, "n")}, f32("b", "m", "n")},
		{op.Reduce{Kind: "sum", Axes: []int{-1, 0}}, []plan.Spec{f32("a", "b", "c")}, f32("b")},
		{op.Reduce{Kind: "max", Axes: []int{1}, Keep: true}, []plan.Spec{f32("a", "b")}, f32("a", 1)},
		{op.Reduce{Kind: "mean", Axes: []int{0}}, []plan.Spec{f32("a")}, f32()},
		{op.Gather{Axis: 1}, []plan.Spec{f32("b", "n", 3), i64("k", 2)}, f32("b", "k", 2, 3)},
		{op.Gather{Axis: -1}, []plan.Spec{i64("n"), i32()}, i64()},
		{op.GatherElements{Axis: 1}, []plan.Spec{f32("b", "n"), i32("b", "k")}, f32("b", "k")},
		{op.GatherND{Batch: 1}, []plan.Spec{f32("b", "n", "m", 3), i64("b", "k", 2)}, f32("b", "k", 3)},
		{op.ScatterND{Combine: "none"}, []plan.Spec{f32("n", "m"), i64("k", 1), f32("k", "m")}, f32("n", "m")},
		{op.ScatterElements{Axis: -1, Combine: "max"}, []plan.Spec{i32("b", "n"), i64("b", "k"), i32("b", "k")}, i32("b", "n")},
		{op.Pad{Mode: "reflect", Before: []int{0, 2}, After: []int{0, 1}}, []plan.Spec{f32("b", "n")}, f32("b", "n+3")},
		{op.Pad{Mode: "constant", Before: []int{-1}, After: []int{0}}, []plan.Spec{spec(plan.Bool, "n")}, spec(plan.Bool, "n-1")},
		{op.CumSum{Axis: -1}, []plan.Spec{i64("b", "n")}, i64("b", "n")},
		{op.TriLU{}, []plan.Spec{spec(plan.Bool, "n", "m")}, spec(plan.Bool, "n", "m")},
		{op.Range{DType: plan.I64, Length: plan.Sym("n").Add(plan.C(1)), Step: 1}, nil, i64("n+1")},
		{op.Reduce{Kind: "prod", Axes: []int{0}}, []plan.Spec{i64("a", "b")}, i64("b")},
		{op.ArgMin{Axis: 0}, []plan.Spec{f32("b", "v")}, i32("v")},
		{op.ArgMax{Axis: -1}, []plan.Spec{f32("b", "v")}, i32("b")},
		{op.TopK{K: 3}, []plan.Spec{f32("b", 9)}, f32("b", 3)},
		{op.TopK{K: 9, Indices: true}, []plan.Spec{f32("b", 9)}, i32("b", 9)},
		{op.Reshape{Shape: shape("b*s", 12, 64)}, []plan.Spec{f32("b", "s", 768)}, f32("b*s", 12, 64)},
		{op.Reshape{Shape: shape("2*a+2*b")}, []plan.Spec{i64("a+b", 2)}, i64("2*a+2*b")},
		{op.Reshape{Shape: shape(0, 7)}, []plan.Spec{f32(3, 0)}, f32(0, 7)},
		{op.Transpose{Perm: []int{1, 0, 2}}, []plan.Spec{i32("a", "b", 3)}, i32("b", "a", 3)},
		{op.Slice{Axis: 0, Start: plan.Sym("s").Sub(plan.C(1)), Stop: plan.Sym("s")}, []plan.Spec{f32("s", 4)}, f32(1, 4)},
		{op.Slice{Axis: -1, Start: plan.C(2), Stop: plan.C(4)}, []plan.Spec{f32("s", 4)}, f32("s", 2)},
		{op.Slice{Axis: 0, Stop: plan.Sym("q")}, []plan.Spec{f32("s")}, f32("q")},
		{op.Concat{Axis: 1}, []plan.Spec{f32("b", "past", 4), f32("b", "s", 4)}, f32("b", "past+s", 4)},
		{op.Append{Axis: -2}, []plan.Spec{f32("b", "past", 4), f32("b", "s", 4)}, f32("b", "past+s", 4)},
		{op.WriteRows{Axis: 1}, []plan.Spec{f32("b", "cap", 4), f32("b", "s", 4), i32(1)}, f32("b", "cap", 4)},
		{op.WriteRows{Axis: 0}, []plan.Spec{i64(9), i64(1), i64()}, i64(9)},
		{op.CausalMask{}, []plan.Spec{f32("b", 12, "q", "k"), i32("b")}, f32("b", 12, "q", "k")},
		{op.CausalMask{Window: 4}, []plan.Spec{f32("q", "k")}, f32("q", "k")},
		{op.Where{}, []plan.Spec{spec(plan.Bool, "b", 1), i64("s"), i64(1)}, i64("b", "s")},
		{op.Cast{To: plan.Bool}, []plan.Spec{f32("b")}, spec(plan.Bool, "b")},
		{op.Identity{}, []plan.Spec{i64("b")}, i64("b")},
		{op.Contiguous{}, []plan.Spec{spec(plan.Bool)}, spec(plan.Bool)},
		{op.Sample{}, sampleSpecs("b", 50), i32("b")},
		{conv, []plan.Spec{f32("b", 3, 224, 224), f32(64, 3, 7, 7), f32(64)}, f32("b", 64, 112, 112)},
		{grouped, []plan.Spec{f32(1, 4, 9, 9), f32(6, 2, 3, 3)}, f32(1, 6, 7, 7)},
		{op.MaxPool2D{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Pad: [2]int{1, 1}}, []plan.Spec{f32("b", 64, 112, 112)}, f32("b", 64, 56, 56)},
		{conv, []plan.Spec{f32("b", 3, "h", "w"), f32(64, 3, 7, 7)}, f32("b", 64, "floor((h+1)/2)", "floor((w+1)/2)")},
		{op.MaxPool2D{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Pad: [2]int{1, 1}}, []plan.Spec{f32("b", 64, "floor((h+1)/2)", 8)}, f32("b", 64, "floor((h+3)/4)", 4)},
		{op.MaxPool2D{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Ceil: true}, []plan.Spec{f32(1, 1, "h", 6)}, f32(1, 1, "floor(h/2)", 3)},
		{op.AvgPool2D{Kernel: [2]int{2, 1}, Stride: [2]int{2, 1}, Dilation: [2]int{1, 1}}, []plan.Spec{f32("b", 4, "h", "w")}, f32("b", 4, "floor(h/2)", "w")},
		{op.ConvTranspose2D{Stride: [2]int{2, 2}, Dilation: [2]int{1, 1}, Pad: [4]int{1, 1, 1, 1}, Groups: 1}, []plan.Spec{f32("b", 4, "h", 8), f32(4, 3, 4, 4), f32(3)}, f32("b", 3, "2*h", 16)},
		{op.Resize{Shape: shape("b", 4, "2*h", 8), Mode: "linear", Coords: "half_pixel", Nearest: "floor"}, []plan.Spec{f32("b", 4, "h", 4)}, f32("b", 4, "2*h", 8)},
		{op.Recurrent{Kind: op.CellRNN, Direction: "forward", Activations: "tanh"}, rnnSpecs, f32("t+1", 1, "b", 4)},
		{op.GroupNorm{Groups: 2}, []plan.Spec{f32("b", 4, "h", "w"), f32(4), f32(4)}, f32("b", 4, "h", "w")},
		{op.BatchNorm{}, []plan.Spec{f32("b", 3, "h"), f32(3), f32(3), f32(3), f32(3)}, f32("b", 3, "h")},
	} {
		t.Run(c.op.Name()+fmt.Sprint(c.in), func(t *testing.T) {
			got, err := c.op.Infer(c.in)
			require.NoError(t, err)
			require.Equal(t, c.want.String(), got.String())
			require.True(t, c.want.Shape.Equal(got.Shape))
		})
	}
}

// rnnSpecs are inputs of a plain recurrent layer.
var rnnSpecs = []plan.Spec{f32("t", "b", 3), f32(1, 4, 3), f32(1, 4, 4), f32(1, 8), f32(1, "b", 4)}

func sampleSpecs(b any, vocab any) []plan.Spec {
	return []plan.Spec{f32(b, vocab), f32(b), f32(b), i32(b), i64(b), i32(b)}
}

func with(in []plan.Spec, i int, s plan.Spec) []plan.Spec {
	out := append([]plan.Spec(nil), in...)
	out[i] = s
	return out
}

func TestInferErrors(t *testing.T) {
	conv := op.Conv2D{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 1}
	bad := conv
	bad.Groups = 0
	pool := op.MaxPool2D{Kernel: [2]int{2, 2}, Stride: [2]int{1, 1}}
	resize := func(mode, coords, nearest string, to int) op.Op {
		return op.Resize{Shape: shape(to), Mode: mode, Coords: coords, Nearest: nearest}
	}
	avg := op.AvgPool2D{Kernel: [2]int{2, 2}, Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}}
	turned := op.ConvTranspose2D{Stride: [2]int{2, 2}, Dilation: [2]int{1, 1}, Groups: 1}
	for _, c := range []struct {
		name string
		op   op.Op
		in   []plan.Spec
		want error
	}{
		{"maximum of nothing", op.Reduce{Kind: "max", Axes: []int{1}}, []plan.Spec{f32(2, 0)}, op.ErrShape},
		{"pooling of nothing", op.MaxPool2D{Kernel: [2]int{2, 2}, Stride: [2]int{1, 1}, Pad: [2]int{1, 1}}, []plan.Spec{f32(1, 1, 0, 3)}, op.ErrShape},
		{"groups beyond any size", op.Conv2D{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 1 << 62}, []plan.Spec{f32(1, 0, 3, 3), f32(0, 4, 1, 1)}, op.ErrShape},
		{"one operand", op.Add(), []plan.Spec{f32()}, plan.ErrInvalid},
		{"broadcast", op.Add(), []plan.Spec{f32(2), f32(3)}, op.ErrShape},
		{"broadcast symbols", op.Div(), []plan.Spec{f32("a"), f32("b")}, op.ErrShape},
		{"ints of two widths", op.Sub(), []plan.Spec{i32(2), i64(2)}, op.ErrDType},
		{"sum of bools", op.Add(), []plan.Spec{spec(plan.Bool, 2), spec(plan.Bool, 2)}, op.ErrDType},
		{"sum of halves", op.Add(), []plan.Spec{spec(plan.F16, 2), spec(plan.F16, 2)}, op.ErrDType},
		{"power of ints", op.Pow(), []plan.Spec{i32(2), i32(2)}, op.ErrDType},
		{"logarithm of ints", op.Log(), []plan.Spec{i32(2)}, op.ErrDType},
		{"and of ints", op.And(), []plan.Spec{i32(2), i32(2)}, op.ErrDType},
		{"not of floats", op.Not(), []plan.Spec{f32(2)}, op.ErrDType},
		{"is_nan of ints", op.IsNaN(), []plan.Spec{i32(2)}, op.ErrDType},
		{"less of bools", op.Less(), []plan.Spec{spec(plan.Bool, 2), spec(plan.Bool, 2)}, op.ErrDType},
		{"equal of a bool and an int", op.Equal{}, []plan.Spec{spec(plan.Bool, 2), i32(2)}, op.ErrDType},
		{"clip between what is no number", op.Clip{Min: math.NaN(), Max: 1}, []plan.Spec{f32(2)}, op.ErrShape},
		{"modulo shapes", op.Mod{}, []plan.Spec{f32(2), f32(3)}, op.ErrShape},
		{"bias rank", op.Bias{}, []plan.Spec{f32(2, 3), f32(1, 3)}, op.ErrShape},
		{"bias of rank 0", op.Bias{}, []plan.Spec{f32(), f32(3)}, op.ErrShape},
		{"bias width", op.Bias{}, []plan.Spec{f32(2, 3), f32(2)}, op.ErrShape},
		{"bias dtype", op.Bias{}, []plan.Spec{f32(2, 3), i32(3)}, op.ErrDType},
		{"relu of ints", op.ReLU{}, []plan.Spec{i64(2)}, op.ErrDType},
		{"tanh of none", op.Tanh{}, nil, plan.ErrInvalid},
		{"gelu of two", op.GELU{}, []plan.Spec{f32(), f32()}, plan.ErrInvalid},
		{"softmax axis", op.Softmax{Axis: 2}, []plan.Spec{f32(2, 3)}, op.ErrShape},
		{"softmax rank 0", op.Softmax{}, []plan.Spec{f32()}, op.ErrShape},
		{"softmax far", op.Softmax{Axis: math.MinInt}, []plan.Spec{f32(2)}, op.ErrShape},
		{"layer norm width", op.LayerNorm{}, []plan.Spec{f32(2, 3), f32(3), f32(2)}, op.ErrShape},
		{"layer norm rank 0", op.LayerNorm{}, []plan.Spec{f32(), f32(3), f32(3)}, op.ErrShape},
		{"layer norm dtype", op.LayerNorm{}, []plan.Spec{i32(3), f32(3), f32(3)}, op.ErrDType},
		{"layer norm of four", op.LayerNorm{}, []plan.Spec{f32(3), f32(3), f32(3), f32(3)}, plan.ErrInvalid},
		{"rms norm width", op.RMSNorm{}, []plan.Spec{f32(2, 3), f32(2)}, op.ErrShape},
		{"rms norm rank 0", op.RMSNorm{}, []plan.Spec{f32()}, op.ErrShape},
		{"rms norm offset", op.RMSNorm{Offset: 2}, []plan.Spec{f32(3), f32(3)}, op.ErrShape},
		{"rms norm offset of nothing", op.RMSNorm{Offset: 1}, []plan.Spec{f32(3)}, op.ErrShape},
		{"rms norm of three", op.RMSNorm{}, []plan.Spec{f32(3), f32(3), f32(3)}, plan.ErrInvalid},
		{"log softmax axis", op.LogSoftmax{Axis: 2}, []plan.Spec{f32(2, 3)}, op.ErrShape},
		{"rope of odd", op.RoPE{}, []plan.Spec{f32(2, 3), f32(1), f32(1)}, op.ErrShape},
		{"rope of unknown", op.RoPE{}, []plan.Spec{f32(2, "n"), f32("n"), f32("n")}, op.ErrShape},
		{"rope beyond", op.RoPE{Dims: 6}, []plan.Spec{f32(2, 4), f32(3), f32(3)}, op.ErrShape},
		{"rope dims", op.RoPE{Dims: -2}, []plan.Spec{f32(2, 4), f32(1), f32(1)}, op.ErrShape},
		{"rope vector", op.RoPE{}, []plan.Spec{f32(4), f32(2), f32(2)}, op.ErrShape},
		{"rope angles", op.RoPE{}, []plan.Spec{f32(2, 4), f32(2), f32(3, 2)}, op.ErrShape},
		{"rope one angle", op.RoPE{}, []plan.Spec{f32(2, 4), f32(1), f32(2)}, op.ErrShape},
		{"rope angle rank", op.RoPE{}, []plan.Spec{f32(2, 4), f32(1, 2, 2), f32(2)}, op.ErrShape},
		{"rope no angle", op.RoPE{}, []plan.Spec{f32(2, 4), f32(), f32(2)}, op.ErrShape},
		{"rope dtype", op.RoPE{}, []plan.Spec{f32(2, 4), i32(2), f32(2)}, op.ErrDType},
		{"attention rank", op.Attention{Mask: "none"}, []plan.Spec{f32(2, 3), f32(2, 3), f32(2, 3)}, op.ErrShape},
		{"attention heads", op.Attention{Mask: "none"}, []plan.Spec{f32(6, 2, 3), f32(4, 2, 3), f32(4, 2, 3)}, op.ErrShape},
		{"attention fewer heads", op.Attention{Mask: "none"}, []plan.Spec{f32(2, 2, 3), f32(4, 2, 3), f32(4, 2, 3)}, op.ErrShape},
		{"attention no heads", op.Attention{Mask: "none"}, []plan.Spec{f32(0, 2, 3), f32(4, 2, 3), f32(4, 2, 3)}, op.ErrShape},
		{"attention no key heads", op.Attention{Mask: "none"}, []plan.Spec{f32(4, 2, 3), f32(0, 2, 3), f32(0, 2, 3)}, op.ErrShape},
		{"attention unknown heads", op.Attention{Mask: "none"}, []plan.Spec{f32("a*b", 2, 3), f32("a", 2, 3), f32("a", 2, 3)}, op.ErrShape},
		{"attention batch", op.Attention{Mask: "none"}, []plan.Spec{f32(2, 4, 2, 3), f32(1, 4, 2, 3), f32(1, 4, 2, 3)}, op.ErrShape},
		{"attention keys", op.Attention{Mask: "none"}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), f32(4, 3, 3)}, op.ErrShape},
		{"attention dim", op.Attention{Mask: "none"}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 4), f32(4, 2, 4)}, op.ErrShape},
		{"attention mask kind", op.Attention{Mask: "mul"}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), f32(4, 2, 3)}, op.ErrShape},
		{"attention without its mask", op.Attention{Mask: "add"}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), f32(4, 2, 3)}, plan.ErrInvalid},
		{"attention mask dtype", op.Attention{Mask: "bool"}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), f32(4, 2, 3), f32(2)}, op.ErrDType},
		{"attention mask shape", op.Attention{Mask: "add"}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), f32(4, 2, 3), f32(3)}, op.ErrShape},
		{"attention mask rank", op.Attention{Mask: "add"}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), f32(4, 2, 3), f32(1, 1, 1, 2)}, op.ErrShape},
		{"attention start", op.Attention{Mask: "none", Start: true}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), f32(4, 2, 3), i32(3)}, op.ErrShape},
		{"attention start dtype", op.Attention{Mask: "none", Start: true}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), f32(4, 2, 3), f32(4)}, op.ErrDType},
		{"attention window", op.Attention{Mask: "none", Window: 2}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), f32(4, 2, 3)}, op.ErrShape},
		{"attention soft cap", op.Attention{Mask: "none", Softcap: -1}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), f32(4, 2, 3)}, op.ErrShape},
		{"attention dtype", op.Attention{Mask: "none"}, []plan.Spec{f32(4, 2, 3), f32(4, 2, 3), i32(4, 2, 3)}, op.ErrDType},
		{"embedding table", op.Embedding{}, []plan.Spec{f32(3), i32(1)}, op.ErrShape},
		{"embedding index", op.Embedding{}, []plan.Spec{f32(3, 4), f32(1)}, op.ErrDType},
		{"embedding of ints", op.Embedding{}, []plan.Spec{i32(3, 4), i32(1)}, op.ErrDType},
		{"matmul vector", op.MatMul{}, []plan.Spec{f32(3), f32(3, 4)}, op.ErrShape},
		{"matmul inner", op.MatMul{}, []plan.Spec{f32(2, 3), f32(4, 5)}, op.ErrShape},
		{"matmul flags", op.MatMul{TransA: true}, []plan.Spec{f32(2, 3), f32(3, 4)}, op.ErrShape},
		{"matmul batch", op.MatMul{}, []plan.Spec{f32(2, 2, 3), f32(3, 3, 4)}, op.ErrShape},
		{"matmul dtype", op.MatMul{}, []plan.Spec{f32(2, 3), i32(3, 4)}, op.ErrDType},
		{"reduce kind", op.Reduce{Kind: "median"}, []plan.Spec{f32(2)}, op.ErrShape},
		{"reduce axis", op.Reduce{Kind: "sum", Axes: []int{1}}, []plan.Spec{f32(2)}, op.ErrShape},
		{"reduce twice", op.Reduce{Kind: "sum", Axes: []int{0, -2}}, []plan.Spec{f32(2, 2)}, op.ErrShape},
		{"argmax of nothing", op.ArgMax{}, []plan.Spec{f32(0, 2)}, op.ErrShape},
		{"argmax rank 0", op.ArgMax{}, []plan.Spec{f32()}, op.ErrShape},
		{"topk above", op.TopK{K: 4}, []plan.Spec{f32(3)}, op.ErrShape},
		{"topk zero", op.TopK{}, []plan.Spec{f32(3)}, op.ErrShape},
		{"topk negative", op.TopK{K: -1}, []plan.Spec{f32(3)}, op.ErrShape},
		{"topk symbolic", op.TopK{K: 1}, []plan.Spec{f32("v")}, op.ErrShape},
		{"reshape", op.Reshape{Shape: shape(7)}, []plan.Spec{f32(2, 3)}, op.ErrShape},
		{"reshape symbols", op.Reshape{Shape: shape("a")}, []plan.Spec{f32("b")}, op.ErrShape},
		{"reshape rank", op.Reshape{Shape: shape(1, 1, 1, 1, 1, 1, 1, 1, 1)}, []plan.Spec{f32(1)}, op.ErrShape},
		{"transpose short", op.Transpose{Perm: []int{0}}, []plan.Spec{f32(2, 3)}, op.ErrShape},
		{"transpose twice", op.Transpose{Perm: []int{0, 0}}, []plan.Spec{f32(2, 3)}, op.ErrShape},
		{"transpose far", op.Transpose{Perm: []int{0, 5}}, []plan.Spec{f32(2, 3)}, op.ErrShape},
		{"transpose of rank 0", op.Transpose{Perm: []int{5}}, []plan.Spec{f32()}, op.ErrShape},
		{"slice beyond", op.Slice{Stop: plan.C(4)}, []plan.Spec{f32(3)}, op.ErrShape},
		{"slice back", op.Slice{Start: plan.C(2), Stop: plan.C(1)}, []plan.Spec{f32(3)}, op.ErrShape},
		{"slice negative", op.Slice{Start: plan.C(-1), Stop: plan.C(1)}, []plan.Spec{f32(3)}, op.ErrShape},
		{"slice past a symbol", op.Slice{Stop: plan.Sym("s").Add(plan.C(1))}, []plan.Spec{f32("s")}, op.ErrShape},
		{"concat nothing", op.Concat{}, nil, plan.ErrInvalid},
		{"concat dtypes", op.Concat{}, []plan.Spec{f32(1), i32(1)}, op.ErrDType},
		{"concat ranks", op.Concat{}, []plan.Spec{f32(1), f32(1, 1)}, op.ErrShape},
		{"concat widths", op.Concat{}, []plan.Spec{f32(1, 2), f32(1, 3)}, op.ErrShape},
		{"concat rank 0", op.Concat{}, []plan.Spec{f32(), f32()}, op.ErrShape},
		{"append three", op.Append{}, []plan.Spec{f32(1), f32(1), f32(1)}, plan.ErrInvalid},
		{"write_rows position", op.WriteRows{}, []plan.Spec{f32(4), f32(1), i32(2)}, op.ErrShape},
		{"write_rows dtype", op.WriteRows{}, []plan.Spec{f32(4), f32(1), f32(1)}, op.ErrDType},
		{"write_rows other axis", op.WriteRows{Axis: 1}, []plan.Spec{f32(4, 5), f32(3, 5), i32(1)}, op.ErrShape},
		{"mask vector", op.CausalMask{}, []plan.Spec{f32(4)}, op.ErrShape},
		{"mask window", op.CausalMask{Window: -1}, []plan.Spec{f32(4, 4)}, op.ErrShape},
		{"mask start", op.CausalMask{}, []plan.Spec{f32(2, 4, 4), i32(3)}, op.ErrShape},
		{"mask start without batch", op.CausalMask{}, []plan.Spec{f32(4, 4), i32(4)}, op.ErrShape},
		{"mask start dtype", op.CausalMask{}, []plan.Spec{f32(2, 4, 4), f32(2)}, op.ErrDType},
		{"where cond", op.Where{}, []plan.Spec{f32(1), f32(1), f32(1)}, op.ErrDType},
		{"where dtypes", op.Where{}, []plan.Spec{spec(plan.Bool, 1), f32(1), i32(1)}, op.ErrDType},
		{"where shapes", op.Where{}, []plan.Spec{spec(plan.Bool, 2), f32(3), f32(1)}, op.ErrShape},
		{"cast to storage", op.Cast{To: plan.F16}, []plan.Spec{f32(1)}, op.ErrDType},
		{"cast to nothing", op.Cast{To: 99}, []plan.Spec{f32(1)}, op.ErrDType},
		{"sample rank", op.Sample{}, with(sampleSpecs(2, 9), 0, f32(9)), op.ErrShape},
		{"sample no vocabulary", op.Sample{}, sampleSpecs(2, 0), op.ErrShape},
		{"sample batch", op.Sample{}, with(sampleSpecs(2, 9), 5, i32(3)), op.ErrShape},
		{"sample seed", op.Sample{}, with(sampleSpecs(2, 9), 4, i32(2)), op.ErrDType},
		{"sample temperature", op.Sample{}, with(sampleSpecs(2, 9), 1, i32(2)), op.ErrDType},
		{"conv rank", conv, []plan.Spec{f32(1, 2, 3), f32(1, 2, 3, 3)}, op.ErrShape},
		{"conv groups", bad, []plan.Spec{f32(1, 2, 3, 3), f32(2, 2, 3, 3)}, op.ErrShape},
		{"conv channels", conv, []plan.Spec{f32(1, 2, 3, 3), f32(2, 3, 3, 3)}, op.ErrShape},
		{"conv bias", conv, []plan.Spec{f32(1, 2, 3, 3), f32(2, 2, 3, 3), f32(3)}, op.ErrShape},
		{"conv small", conv, []plan.Spec{f32(1, 2, 2, 3), f32(2, 2, 3, 3)}, op.ErrShape},
		{"conv of unknown filters", conv, []plan.Spec{f32(1, 2, 3, 3), f32(2, 2, "k", 3)}, op.ErrShape},
		{"rounded up at unknown sizes", op.MaxPool2D{Kernel: [2]int{2, 2}, Stride: [2]int{3, 3}, Ceil: true}, []plan.Spec{f32(1, 2, "h", 8)}, op.ErrShape},
		{"pool dilation", op.MaxPool2D{Kernel: [2]int{2, 2}, Stride: [2]int{1, 1}, Dilation: [2]int{0, 1}}, []plan.Spec{f32(1, 2, 8, 8)}, op.ErrShape},
		{"average pool rank", avg, []plan.Spec{f32(2, 8, 8)}, op.ErrShape},
		{"average pool padding", op.AvgPool2D{Kernel: [2]int{2, 2}, Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Pad: [4]int{0, 2, 0, 0}}, []plan.Spec{f32(1, 2, 8, 8)}, op.ErrShape},
		{"average pool of nothing", avg, []plan.Spec{f32(1, 2, 0, 8)}, op.ErrShape},
		{"average pool of too little", avg, []plan.Spec{f32(1, 2, 1, 8)}, op.ErrShape},
		{"transposed channels", turned, []plan.Spec{f32(1, 3, 4, 4), f32(2, 3, 2, 2)}, op.ErrShape},
		{"transposed groups", op.ConvTranspose2D{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 3}, []plan.Spec{f32(1, 2, 4, 4), f32(2, 3, 2, 2)}, op.ErrShape},
		{"transposed bias", turned, []plan.Spec{f32(1, 2, 4, 4), f32(2, 3, 2, 2), f32(2)}, op.ErrShape},
		{"transposed output padding", op.ConvTranspose2D{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, OutPad: [2]int{1, 0}, Groups: 1}, []plan.Spec{f32(1, 2, 4, 4), f32(2, 3, 2, 2)}, op.ErrShape},
		{"transposed to nothing", op.ConvTranspose2D{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Pad: [4]int{9, 0, 9, 0}, Groups: 1}, []plan.Spec{f32(1, 2, 4, 4), f32(2, 3, 2, 2)}, op.ErrShape},
		{"transposed nothing", turned, []plan.Spec{f32(1, 2, 0, 4), f32(2, 3, 2, 2)}, op.ErrShape},
		{"resize ranks", resize("linear", "half_pixel", "floor", 4), []plan.Spec{f32(2, 3)}, op.ErrShape},
		{"resize mode", resize("floor", "half_pixel", "floor", 4), []plan.Spec{f32(2)}, op.ErrShape},
		{"resize coordinates", resize("linear", "tf_crop_and_resize", "floor", 4), []plan.Spec{f32(2)}, op.ErrShape},
		{"resize rounding", resize("nearest", "asymmetric", "", 4), []plan.Spec{f32(2)}, op.ErrShape},
		{"resize of nothing", resize("nearest", "asymmetric", "floor", 4), []plan.Spec{f32(0)}, op.ErrShape},
		{"resize by nothing", op.Resize{Shape: shape(4), Mode: "linear", Coords: "asymmetric", Nearest: "floor", Scales: []float64{0}}, []plan.Spec{f32(2)}, op.ErrShape},
		{"resize by what is no number", op.Resize{Shape: shape(4), Mode: "linear", Coords: "asymmetric", Nearest: "floor", Cubic: math.NaN()}, []plan.Spec{f32(2)}, op.ErrShape},
		{"recurrent direction", op.Recurrent{Kind: op.CellRNN, Direction: "sideways", Activations: "tanh"}, rnnSpecs, op.ErrShape},
		{"recurrent activation", op.Recurrent{Kind: op.CellRNN, Direction: "forward", Activations: "exec"}, rnnSpecs, op.ErrShape},
		{"recurrent activations", op.Recurrent{Kind: op.CellRNN, Direction: "both", Activations: "tanh"}, rnnSpecs, op.ErrShape},
		{"recurrent clip", op.Recurrent{Kind: op.CellRNN, Direction: "forward", Activations: "tanh", Clip: -1}, rnnSpecs, op.ErrShape},
		{"peepholes of a plain cell", op.Recurrent{Kind: op.CellRNN, Direction: "forward", Activations: "tanh", Peepholes: true}, rnnSpecs, op.ErrShape},
		{"recurrent without a state", op.Recurrent{Kind: op.CellRNN, Direction: "forward", Activations: "tanh"}, rnnSpecs[:4], plan.ErrInvalid},
		{"recurrent weights", op.Recurrent{Kind: op.CellRNN, Direction: "forward", Activations: "tanh"}, with(rnnSpecs, 1, f32(1, 4, 4)), op.ErrShape},
		{"recurrent ints", op.Recurrent{Kind: op.CellRNN, Direction: "forward", Activations: "tanh"}, with(rnnSpecs, 0, i32("t", "b", 3)), op.ErrDType},
		{"group norm groups", op.GroupNorm{Groups: 2}, []plan.Spec{f32(1, 3, 4), f32(3), f32(3)}, op.ErrShape},
		{"group norm of no group", op.GroupNorm{}, []plan.Spec{f32(1, 3, 4), f32(3), f32(3)}, op.ErrShape},
		{"group norm parameters", op.GroupNorm{Groups: 1}, []plan.Spec{f32(1, 3, 4), f32(3), f32(4)}, op.ErrShape},
		{"conv dtype", conv, []plan.Spec{f32(1, 2, 3, 3), i32(2, 2, 3, 3)}, op.ErrDType},
		{"conv stride", op.Conv2D{Dilation: [2]int{1, 1}, Groups: 1}, []plan.Spec{f32(1, 2, 3, 3), f32(2, 2, 3, 3)}, op.ErrShape},
		{"pool rank", pool, []plan.Spec{f32(2, 3, 3)}, op.ErrShape},
		{"pool only padding", op.MaxPool2D{Kernel: [2]int{1, 1}, Stride: [2]int{1, 1}, Pad: [2]int{1, 1}}, []plan.Spec{f32(1, 1, 3, 3)}, op.ErrShape},
		{"batch norm channels", op.BatchNorm{}, []plan.Spec{f32(1, 3), f32(3), f32(3), f32(3), f32(2)}, op.ErrShape},
		{"batch norm rank", op.BatchNorm{}, []plan.Spec{f32(3), f32(3), f32(3), f32(3), f32(3)}, op.ErrShape},
		{"minimum of nothing", op.Reduce{Kind: "min", Axes: []int{0}}, []plan.Spec{i32(0, 2)}, op.ErrShape},
		{"mean of ints", op.Reduce{Kind: "mean", Axes: []int{0}}, []plan.Spec{i32(2)}, op.ErrDType},
		{"argmin of nothing", op.ArgMin{}, []plan.Spec{f32(0, 2)}, op.ErrShape},
		{"gather axis", op.Gather{Axis: 2}, []plan.Spec{f32(2, 3), i32(1)}, op.ErrShape},
		{"gather at floats", op.Gather{}, []plan.Spec{f32(2, 3), f32(1)}, op.ErrDType},
		{"elements ranks", op.GatherElements{}, []plan.Spec{f32(2, 3), i32(2)}, op.ErrShape},
		{"elements beyond", op.GatherElements{}, []plan.Spec{f32(2, 3), i32(2, 4)}, op.ErrShape},
		{"elements of unknown size", op.GatherElements{}, []plan.Spec{f32(2, "a"), i32(2, "b")}, op.ErrShape},
		{"tuples too long", op.GatherND{}, []plan.Spec{f32(2, 3), i32(5, 3)}, op.ErrShape},
		{"tuples of unknown length", op.GatherND{}, []plan.Spec{f32(2, 3), i32(5, "k")}, op.ErrShape},
		{"tuples batch", op.GatherND{Batch: 1}, []plan.Spec{f32(2, 3), i32(3, 1)}, op.ErrShape},
		{"tuples batch below", op.GatherND{Batch: -1}, []plan.Spec{f32(2, 3), i32(3, 1)}, op.ErrShape},
		{"tuples of rank 0", op.GatherND{}, []plan.Spec{f32(2, 3), i32()}, op.ErrShape},
		{"scatter dtypes", op.ScatterElements{Combine: "none"}, []plan.Spec{f32(2), i32(2), i32(2)}, op.ErrDType},
		{"scatter combination", op.ScatterElements{Combine: "xor"}, []plan.Spec{f32(2), i32(2), f32(2)}, op.ErrShape},
		{"scatter of bools", op.ScatterElements{Combine: "add"}, []plan.Spec{spec(plan.Bool, 2), i32(2), spec(plan.Bool, 2)}, op.ErrDType},
		{"scatter updates", op.ScatterElements{Combine: "none"}, []plan.Spec{f32(2), i32(2), f32(1)}, op.ErrShape},
		{"scatter_nd updates", op.ScatterND{Combine: "none"}, []plan.Spec{f32(2, 3), i32(5, 1), f32(5, 2)}, op.ErrShape},
		{"pad amounts", op.Pad{Mode: "constant", Before: []int{1}, After: []int{1, 2}}, []plan.Spec{f32(2)}, op.ErrShape},
		{"pad mode", op.Pad{Mode: "mirror", Before: []int{1}, After: []int{1}}, []plan.Spec{f32(2)}, op.ErrShape},
		{"pad too large", op.Pad{Mode: "constant", Before: []int{1 << 40}, After: []int{1}}, []plan.Spec{f32(2)}, op.ErrShape},
		{"reflect beyond the axis", op.Pad{Mode: "reflect", Before: []int{2}, After: []int{0}}, []plan.Spec{f32(2)}, op.ErrShape},
		{"reflect negative", op.Pad{Mode: "reflect", Before: []int{-1}, After: []int{0}}, []plan.Spec{f32(2)}, op.ErrShape},
		{"edge of nothing", op.Pad{Mode: "edge", Before: []int{1}, After: []int{0}}, []plan.Spec{f32(0)}, op.ErrShape},
		{"wrap beyond the axis", op.Pad{Mode: "wrap", Before: []int{3}, After: []int{0}}, []plan.Spec{f32(2)}, op.ErrShape},
		{"cut off more than all", op.Pad{Mode: "constant", Before: []int{-2}, After: []int{-1}}, []plan.Spec{f32(2)}, op.ErrShape},
		{"pad ints with a half", op.Pad{Mode: "constant", Before: []int{1}, After: []int{0}, Value: 0.5}, []plan.Spec{i32(2)}, op.ErrShape},
		{"cumsum axis", op.CumSum{Axis: 1}, []plan.Spec{f32(2)}, op.ErrShape},
		{"cumsum of bools", op.CumSum{}, []plan.Spec{spec(plan.Bool, 2)}, op.ErrDType},
		{"trilu of a vector", op.TriLU{}, []plan.Spec{f32(2)}, op.ErrShape},
		{"trilu far", op.TriLU{K: math.MinInt}, []plan.Spec{f32(2, 2)}, op.ErrShape},
		{"range of bools", op.Range{DType: plan.Bool, Length: plan.C(1)}, nil, op.ErrDType},
		{"range of less than nothing", op.Range{DType: plan.I32, Length: plan.C(-1)}, nil, op.ErrShape},
		{"range of an input", op.Range{DType: plan.I32}, []plan.Spec{i32(1)}, plan.ErrInvalid},
		{"contiguous of two", op.Contiguous{}, []plan.Spec{f32(), f32()}, plan.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.op.Infer(c.in)
			require.ErrorIs(t, err, c.want)
		})
	}
}

// TestReshapeTermBomb takes the product of eight sums of many symbols.
func TestReshapeTermBomb(t *testing.T) {
	var s plan.Shape
	for i := range 8 {
		d := plan.C(1)
		for j := range 15 {
			d = d.Add(plan.Sym(fmt.Sprintf("s%d_%d", i, j)))
		}
		s = append(s, d)
	}
	_, err := op.Reshape{Shape: s}.Infer([]plan.Spec{{DType: plan.F32, Shape: s}})
	require.ErrorIs(t, err, op.ErrShape)
}
