//go:build !race

package kernels

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// nothing is a stream that launches nothing.
type nothing struct{ driver.Stream }

// Launch implements [driver.Stream].
func (nothing) Launch(driver.Function, driver.Dim, driver.Dim, int, []byte) error { return nil }

// AllowShared implements [driver.Function].
func (nothing) AllowShared(int) error { return nil }

// TestLaunchesAllocateNothing holds for launches of steady steps. (The race
// detector makes pools drop memory.)
func TestLaunchesAllocateNothing(t *testing.T) {
	s := &Set{functions: map[string]driver.Function{}, indexed: maxIndexed}
	for _, names := range modules {
		for _, name := range names {
			s.functions[name] = nothing{}
		}
	}
	st := driver.Stream(nothing{})
	tensor := func(dt plan.DType, shape ...int) Tensor {
		return Tensor{At: 1 << 20, DType: dt, Shape: shape, Strides: op.ContiguousStrides(shape)}
	}
	x, v, images := tensor(plan.F32, 3, 4, 16), tensor(plan.F32, 16), tensor(plan.F32, 2, 4, 8, 8)
	turned := x
	turned.Shape, turned.Strides = []int{3, 16, 4}, []int{64, 1, 16}
	turnedOut := tensor(plan.F32, 3, 16, 4)
	c, index, batch := tensor(plan.F32, 4), tensor(plan.I32, 3, 4), tensor(plan.I64, 3)
	mask, integers := tensor(plan.Bool, 3, 4, 16), tensor(plan.I64, 3, 4, 16)
	var add, gelu op.Op = op.Add(), op.GELU{Tanh: true}
	reduce := op.Reduce{Kind: "mean", Axes: []int{1}}
	w := Packed{At: 1 << 20, Elem: plan.BF16, K: 16, N: 50}
	rows := []Rows{{A: 1 << 20, Out: 1 << 20, Count: 100, StrideA: 16, StrideOut: 50, Stages: []Stage{{Code: 1}}}}
	sessions := slices.Repeat(rows, inlinePortions+1)
	for name, f := range map[string]func() error{
		"binary":           func() error { return s.Pointwise(st, add, x, x, v) },
		"unary":            func() error { return s.Pointwise(st, gelu, x, x) },
		"where":            func() error { return s.Where(st, x, mask, x, v) },
		"equal":            func() error { return s.Equal(st, mask, x, v) },
		"cast":             func() error { return s.Cast(st, integers, x) },
		"copy":             func() error { return s.Copy(st, x, v) },
		"transposed":       func() error { return s.Copy(st, turnedOut, turned) },
		"layer norm alone": func() error { return s.LayerNorm(st, x, x, Tensor{}, Tensor{}, 1e-5) },
		"rms norm":         func() error { return s.RMSNorm(st, op.RMSNorm{Eps: 1e-5}, x, x, v) },
		"layer norm":       func() error { return s.LayerNorm(st, x, x, v, v, 1e-5) },
		"softmax":          func() error { return s.Softmax(st, x, x, 1) },
		"batch norm":       func() error { return s.BatchNorm(st, images, images, c, c, c, c, 1e-5) },
		"mask":             func() error { return s.CausalMask(st, x, x, batch, 3) },
		"reduce":           func() error { return s.Reduce(st, reduce, tensor2, x) },
		"max pool": func() error {
			return s.MaxPool(st, op.MaxPool2D{Kernel: [2]int{1, 1}, Stride: [2]int{1, 1}}, images, images)
		},
		"embedding": func() error { return s.Embedding(st, x, table16, index, 1, 0) },
		"packed":    func() error { return s.EmbeddingPacked(st, x, &w, true, index, 1, 0) },
		"pick":      func() error { return s.Pick(st, tensor2, x, batch, 1, 0) },
		"product":   func() error { return s.Product(st, &w, rows, 1<<20) },
		"table":     func() error { return s.Product(st, &w, sessions, 1<<20) },
		"matmul":    func() error { return s.MatMul(st, square, x, turned, false, false) },
		"pack":      func() error { return s.Pack(st, w.At, w.Elem, w.K, w.N, 1<<20, false, 0, w.K) },
	} {
		var err error
		require.Zero(t, testing.AllocsPerRun(20, func() { err = f() }), name)
		require.NoError(t, err, name)
	}
}

var (
	tensor2 = Tensor{At: 1 << 20, DType: plan.F32, Shape: []int{3, 16}, Strides: []int{16, 1}}
	square  = Tensor{At: 1 << 20, DType: plan.F32, Shape: []int{3, 4, 4}, Strides: []int{16, 4, 1}}
	table16 = Tensor{At: 1 << 20, DType: plan.F32, Shape: []int{9, 16}, Strides: []int{16, 1}}
)
