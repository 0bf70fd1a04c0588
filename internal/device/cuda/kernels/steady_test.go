//go:build !race

package kernels

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// TestStepsAllocateNothing holds for what each decode step launches.
func TestStepsAllocateNothing(t *testing.T) {
	s := &Set{functions: map[string]driver.Function{}}
	for _, names := range modules {
		for _, name := range names {
			s.functions[name] = nothing{}
		}
	}
	st := driver.Stream(nothing{})
	tensor := func(dt plan.DType, shape ...int) Tensor {
		return Tensor{At: 1 << 20, DType: dt, Shape: shape, Strides: op.ContiguousStrides(shape)}
	}
	q, rows, page := tensor(plan.F32, 1, 12, 1, 64), tensor(plan.F32, 1, 12, 1, 64), tensor(plan.F32, 1, 12, 64, 64)
	state := Paged{Tensor: page, Table: 1 << 20, PageRows: 64}
	prefill := tensor(plan.F32, 1, 12, 512, 64)
	start, floats, ints := tensor(plan.I64, 1), tensor(plan.F32, 1), tensor(plan.I32, 1)
	logits := tensor(plan.F32, 1, 50257)
	attention := Attention{Out: 1, Q: q, K: state, V: state, Scale: 8, Divide: true, Masked: true, Start: start, Merge: true, Scratch: 1, Counters: 1}
	tiles := attention
	tiles.Q = prefill
	sampling := Sampling{Out: 1, Logits: logits, Temperature: floats, TopP: floats, TopK: ints, Seed: start, Counter: start, Scratch: 1}
	for name, f := range map[string]func() error{
		"attention": func() error { return s.Attention(st, &attention) },
		"prefill":   func() error { return s.Attention(st, &tiles) },
		"append":    func() error { return s.AppendRows(st, state, rows, 2, 63) },
		"write":     func() error { return s.WriteRows(st, page, page, rows, start, 2, 1, 0) },
		"copy": func() error {
			return s.CopyRows(st, Piece{1 << 20, 64}, 0, Piece{1 << 20, 64}, 0, 3, plan.F32, page.Shape, 2)
		},
		"sample": func() error { return s.Sample(st, &sampling) },
		"argmax": func() error { return s.ArgMax(st, 1, logits, -1) },
		"topk":   func() error { return s.TopK(st, op.TopK{K: 5}, 1, logits, 1) },
	} {
		var err error
		require.Zero(t, testing.AllocsPerRun(20, func() { err = f() }), name)
		require.NoError(t, err, name)
	}
}
