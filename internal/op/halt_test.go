package op_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// huge makes an array of any shape from one element: all its strides are 0.
func huge(dt plan.DType, shape ...int) *op.Array {
	a := op.NewArray(dt, 1)
	a.Shape, a.Strides = shape, make([]int, len(shape))
	if dt == plan.F32 {
		a.F32()[0] = 1
	}
	return a
}

const (
	many = 1 << 33 // elements
	side = 1 << 20
	// stored is written by index, so it needs real memory.
	stored = 1 << 24
)

// hugeCase is an evaluation that would take at least minutes.
type hugeCase struct {
	op  op.Op
	out *op.Array
	in  []*op.Array
}

// hugeCases has at least one case for every operator: of many positions, and of
// few large ones. Activations without attributes get theirs from their traits.
func hugeCases() []hugeCase {
	x, f := huge(plan.F32, many), func(shape ...int) *op.Array { return huge(plan.F32, shape...) }
	one := [2]int{1, 1}
	conv := op.Conv2D{Stride: one, Dilation: one, Groups: 1}
	cases := []hugeCase{
		{op.Append{}, f(many + 8), []*op.Array{x, f(8)}},
		{op.Append{}, f(many + 8), []*op.Array{f(8), x}},
		{op.ArgMax{}, huge(plan.I32), []*op.Array{x}},
		{op.ArgMax{Axis: 1}, huge(plan.I32, 1), []*op.Array{f(1, many)}},
		{op.Attention{Mask: op.MaskNone}, f(1, side, side), []*op.Array{f(1, side, 2), f(1, 4, 2), f(1, 4, side)}},
		{op.Attention{Mask: op.MaskNone}, f(1, 1, 1), []*op.Array{f(1, 1, many), f(1, 4, many), f(1, 4, 1)}},
		{op.Attention{Mask: op.MaskBool, Causal: true}, f(1, 1, many), []*op.Array{f(1, 1, 1), f(1, many, 1), f(1, many, many), huge(plan.Bool, many)}},
		{op.BatchNorm{}, f(many, 2, 2), []*op.Array{f(many, 2, 2), f(2), f(2), f(2), f(2)}},
		{op.Bias{}, f(side, side), []*op.Array{f(side, side), f(side)}},
		{op.CausalMask{}, f(side, side), []*op.Array{f(side, side)}},
		{op.Concat{}, f(many + 8), []*op.Array{f(8), x}},
		{op.Contiguous{}, x, []*op.Array{x}},
		{conv, f(1, 1, side, side), []*op.Array{f(1, 1, side, side), f(1, 1, 1, 1)}},
		{conv, f(1, 1, 1, 1), []*op.Array{f(1, 1, 1<<16, 1<<16), f(1, 1, 1<<16, 1<<16)}},
		{conv, f(1, 1, 1, 1), []*op.Array{f(1, many, 1, 1), f(1, many, 1, 1)}},
		{op.Embedding{}, f(many, 2), []*op.Array{f(1, 2), huge(plan.I32, many)}},
		{op.Embedding{}, f(1, many), []*op.Array{f(1, many), huge(plan.I64, 1)}},
		{op.Equal{}, huge(plan.Bool, many), []*op.Array{x, x}},
		{op.Equal{}, huge(plan.Bool, many), []*op.Array{huge(plan.I64, many), huge(plan.I64, many)}},
		{op.Expand{Shape: plan.Shape{plan.C(many)}}, x, []*op.Array{f(1)}},
		{op.GELU{}, x, []*op.Array{x}},
		{op.GELU{Tanh: true}, x, []*op.Array{x}},
		{op.Identity{}, x, []*op.Array{x}},
		{op.LayerNorm{}, f(many, 2), []*op.Array{f(many, 2), f(2), f(2)}},
		{op.LayerNorm{}, x, []*op.Array{x, x, x}},
		{op.LayerNorm{}, x, []*op.Array{x}},
		{op.LogSoftmax{}, x, []*op.Array{x}},
		{op.LogSoftmax{Axis: 1}, f(many, 2), []*op.Array{f(many, 2)}},
		{op.MatMul{}, f(side, side), []*op.Array{f(side, 2), f(2, side)}},
		{op.MatMul{TransA: true, TransB: true}, f(1, 1), []*op.Array{f(many, 1), f(1, many)}},
		{op.MaxPool2D{Kernel: one, Stride: one}, f(1, 1, side, side), []*op.Array{f(1, 1, side, side)}},
		{op.MaxPool2D{Kernel: [2]int{1 << 16, 1 << 16}, Stride: one}, f(1, 1, 1, 1), []*op.Array{f(1, 1, 1<<16, 1<<16)}},
		{op.Pick{}, f(1, many), []*op.Array{f(1, 3, many), huge(plan.I32, 1)}},
		{op.Pick{}, f(many, 1), []*op.Array{f(many, 3, 1), huge(plan.I32, many)}},
		{op.Reduce{Kind: "sum", Axes: []int{0}}, f(), []*op.Array{x}},
		{op.Reduce{Kind: "max", Axes: []int{1}}, op.NewArray(plan.F32, 2), []*op.Array{f(2, many)}},
		{op.Reshape{Shape: plan.Shape{plan.C(stored)}}, op.NewArray(plan.F32, stored), []*op.Array{f(stored/4, 4)}},
		{op.RMSNorm{}, f(many, 2), []*op.Array{f(many, 2), f(2)}},
		{op.RMSNorm{}, x, []*op.Array{x}},
		{op.RoPE{}, f(1, many), []*op.Array{f(1, many), f(many / 2), f(many / 2)}},
		{op.RoPE{Dims: 2}, f(side, side), []*op.Array{f(side, side), f(1), f(1)}},
		{op.Slice{Stop: plan.C(many)}, x, []*op.Array{x}},
		{op.Softmax{}, x, []*op.Array{x}},
		{op.Softmax{Axis: 1}, f(many, 2), []*op.Array{f(many, 2)}},
		{op.TopK{K: 4}, op.NewArray(plan.F32, 1, 4), []*op.Array{f(1, many)}},
		{op.TopK{K: side, Indices: true}, op.NewArray(plan.I32, 1, side), []*op.Array{f(1, many)}},
		{op.TopK{K: 1}, op.NewArray(plan.F32, stored, 1), []*op.Array{f(stored, 1)}},
		{op.Transpose{Perm: []int{1, 0}}, f(side, side), []*op.Array{f(side, side)}},
		{op.Where{}, x, []*op.Array{huge(plan.Bool, many), x, x}},
		{op.WriteRows{}, f(many), []*op.Array{x, f(2), huge(plan.I32, 1)}},
		{op.WriteRows{}, x, []*op.Array{f(many), x, huge(plan.I32, 1)}},
	}
	for _, o := range op.Activations() {
		cases = append(cases, hugeCase{o, x, []*op.Array{x}})
	}
	for _, o := range []op.Op{op.Add(), op.Sub(), op.Mul(), op.Div(), op.Min(), op.Max(), op.Pow(), op.Mod{}} {
		cases = append(cases, hugeCase{o, x, []*op.Array{x, f(1)}})
	}
	for _, o := range []op.Op{op.Less(), op.LessEqual(), op.Greater(), op.GreaterEqual()} {
		cases = append(cases, hugeCase{o, huge(plan.Bool, many), []*op.Array{x, f(1)}})
	}
	bools := huge(plan.Bool, many)
	for _, o := range []op.Op{op.And(), op.Or(), op.Xor(), op.Equal{}} {
		cases = append(cases, hugeCase{o, bools, []*op.Array{bools, bools}})
	}
	cases = append(cases,
		hugeCase{op.Not(), bools, []*op.Array{bools}}, hugeCase{op.IsNaN(), bools, []*op.Array{x}}, hugeCase{op.IsInf(), bools, []*op.Array{x}},
		hugeCase{op.Neg(), x, []*op.Array{x}}, hugeCase{op.Abs(), huge(plan.I64, many), []*op.Array{huge(plan.I64, many)}},
		hugeCase{op.Clip{Max: 1}, x, []*op.Array{x}})
	i := func(shape ...int) *op.Array { return huge(plan.I32, shape...) }
	lstm := op.Recurrent{Kind: op.CellLSTM, Direction: "forward", Activations: "sigmoid,tanh,tanh"}
	gru := op.Recurrent{Kind: op.CellGRU, Direction: "reverse", Activations: "sigmoid,tanh"}
	rnn := op.Recurrent{Kind: op.CellRNN, Direction: "forward", Activations: "tanh"}
	cases = append(cases, []hugeCase{
		{op.ArgMin{}, huge(plan.I32), []*op.Array{x}},
		{op.Resize{Mode: "cubic", Coords: "half_pixel", Nearest: "floor"}, f(1, 1, side, side), []*op.Array{f(1, 1, 3, 3)}},
		{op.Resize{Mode: "nearest", Coords: "asymmetric", Nearest: "floor"}, x, []*op.Array{f(2)}},
		{lstm, op.NewArray(plan.F32, 2, 1, 1, 8), []*op.Array{f(1, 1, many), f(1, 16, many), f(1, 16, 4), f(1, 32), f(1, 1, 4), f(1, 1, 4)}},
		{lstm, op.NewArray(plan.F32, stored, 1, 1, 2), []*op.Array{f(stored-1, 1, 4), f(1, 4, 4), f(1, 4, 1), f(1, 8), f(1, 1, 1), f(1, 1, 1)}},
		{gru, op.NewArray(plan.F32, 2, 1, stored/4, 1), []*op.Array{f(1, stored/4, 64), f(1, 3, 64), f(1, 3, 1), f(1, 6), f(1, stored/4, 1)}},
		{rnn, op.NewArray(plan.F32, stored, 1, 1, 1), []*op.Array{f(stored-1, 1, 4), f(1, 1, 4), f(1, 1, 1), f(1, 2), f(1, 1, 1)}},
		{op.AvgPool2D{Kernel: one, Stride: one, Dilation: one}, f(1, 1, side, side), []*op.Array{f(1, 1, side, side)}},
		{op.AvgPool2D{Kernel: [2]int{1 << 16, 1 << 16}, Stride: one, Dilation: one}, f(1, 1, 1, 1), []*op.Array{f(1, 1, 1<<16, 1<<16)}},
		{op.ConvTranspose2D{Stride: one, Dilation: one, Groups: 1}, f(1, 1, side, side), []*op.Array{f(1, 1, side, side), f(1, 1, 1, 1)}},
		{op.ConvTranspose2D{Stride: one, Dilation: one, Groups: 1}, f(1, 1, 1<<16, 1<<16), []*op.Array{f(1, 1, 1, 1), f(1, 1, 1<<16, 1<<16)}},
		{op.ConvTranspose2D{Stride: one, Dilation: one, Groups: 1}, f(1, 1, 1, 1), []*op.Array{f(1, many, 1, 1), f(many, 1, 1, 1)}},
		{op.GroupNorm{Groups: 1}, f(1, many), []*op.Array{f(1, many), x, x}},
		{op.GroupNorm{Groups: 2}, f(many, 2), []*op.Array{f(many, 2), f(2), f(2)}},
		{op.Gather{}, x, []*op.Array{f(2), i(many)}},
		{op.Gather{}, f(1, many), []*op.Array{f(2, many), i(1)}},
		{op.GatherElements{}, x, []*op.Array{f(2), i(many)}},
		{op.GatherND{}, x, []*op.Array{f(2), i(many, 1)}},
		{op.ScatterElements{Combine: "none"}, f(2), []*op.Array{f(2), i(many), x}},
		{op.ScatterElements{Combine: "add"}, x, []*op.Array{x, i(2), f(2)}},
		{op.ScatterND{Combine: "mul"}, f(2), []*op.Array{f(2), i(many, 1), x}},
		{op.ScatterND{Combine: "none"}, x, []*op.Array{x, i(2, 1), f(2)}},
		{op.Pad{Mode: "constant", Before: []int{1}, After: []int{1}}, f(many + 2), []*op.Array{x}},
		{op.CumSum{}, x, []*op.Array{x}},
		{op.CumSum{Axis: 1}, i(many, 2), []*op.Array{i(many, 2)}},
		{op.TriLU{}, f(side, side), []*op.Array{f(side, side)}},
		{op.Range{DType: plan.F32, Length: plan.C(many)}, x, nil},
		{op.Reduce{Kind: "prod", Axes: []int{0}}, op.NewArray(plan.I64), []*op.Array{huge(plan.I64, many)}},
		{op.Reduce{Kind: "min", Axes: []int{1}}, op.NewArray(plan.I32, stored), []*op.Array{i(stored, 2)}},
	}...)
	for _, to := range []plan.DType{plan.F32, plan.I32, plan.I64, plan.Bool} {
		cases = append(cases, hugeCase{op.Cast{To: to}, huge(to, many), []*op.Array{x}})
	}
	for _, rows := range []int{stored, 4} {
		v, b := 1<<26/rows, huge(plan.I32, rows)
		in := []*op.Array{f(rows, v), f(rows), f(rows), b, huge(plan.I64, rows), b}
		greedy := slices.Clone(in)
		greedy[1] = huge(plan.F32, rows)
		greedy[1].F32()[0] = 0
		nucleus := slices.Clone(in)
		nucleus[2] = huge(plan.F32, rows)
		nucleus[2].F32()[0] = 0.9
		for _, in := range [][]*op.Array{in, greedy, nucleus} {
			cases = append(cases, hugeCase{op.Sample{}, op.NewArray(plan.I32, rows), in})
		}
	}
	return cases
}

// soon is how long an evaluation may continue after it is told to stop. The
// best of several attempts counts: the machine may be busy.
func soon() time.Duration {
	if raceEnabled {
		return 500 * time.Millisecond
	}
	return 50 * time.Millisecond
}

// TestEvalHalts stops every operator in the middle of an evaluation that would
// take minutes. An operator without a case fails.
func TestEvalHalts(t *testing.T) {
	covered := map[string]bool{}
	for i, c := range hugeCases() {
		covered[c.op.Name()] = true
		t.Run(fmt.Sprintf("%d-%s", i, c.op.Name()), func(t *testing.T) {
			best := time.Hour
			for range 5 {
				if best > soon() {
					best = min(best, haltedAfter(t, c))
				}
			}
			require.LessOrEqual(t, best, soon())
		})
	}
	for _, name := range op.Names() {
		require.True(t, covered[name], "no case of %q", name)
	}
}

// haltedAfter is how long an evaluation continues after it is told to stop.
func haltedAfter(t *testing.T, c hugeCase) time.Duration {
	begin := time.Now()
	const after = 3 * time.Millisecond
	err := c.op.Eval(c.out, c.in, func() bool { return time.Since(begin) > after })
	took := time.Since(begin)
	require.ErrorIs(t, err, op.ErrHalted)
	return took - after
}
