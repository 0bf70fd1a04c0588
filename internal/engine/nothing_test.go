package engine_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport/plan"
)

// TestOfNothing computes with empty axes, to which symbols are bound: a sum is
// 0, a mean NaN, a product over nothing 0, and so is attention without keys,
// which ends in one. The values are what NumPy 2.4.6 gives for sum, mean and
// matmul of arrays of these shapes; its max and argmax raise ValueError, as
// TestSizesAtBind expects.
func TestOfNothing(t *testing.T) {
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		plan  string
		sizes plan.Bindings
		want  []float32
	}{
		"sum":         {"sum 0", plan.Bindings{"a": 0, "b": 1, "c": 3}, []float32{0, 0, 0}},
		"mean":        {"mean 0", plan.Bindings{"a": 0, "b": 1, "c": 3}, []float32{nan, nan, nan}},
		"pixels":      {"mean of an image", plan.Bindings{"a": 1, "b": 2, "c": 0, "d": 4}, []float32{nan, nan}},
		"matmul":      {"matmul", plan.Bindings{"a": 1, "b": 2, "c": 0, "d": 2}, []float32{0, 0, 0, 0}},
		"attention":   {"attention", plan.Bindings{"a": 1, "b": 2, "c": 0, "d": 3, "e": 2}, []float32{0, 0, 0, 0}},
		"no queries":  {"attention", plan.Bindings{"a": 1, "b": 0, "c": 4, "d": 3, "e": 2}, nil},
		"no batch":    {"batched", plan.Bindings{"a": 0, "b": 2, "c": 3, "d": 2}, nil},
		"no rows":     {"layernorm", plan.Bindings{"a": 0, "b": 2, "c": 3}, nil},
		"no features": {"layernorm", plan.Bindings{"a": 1 << 36, "b": 1, "c": 0}, nil},
		"softmax":     {"softmax 1", plan.Bindings{"a": 2, "b": 0, "c": 3}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			made := everySize()[c.plan]
			p, err := sizedPlan(made.in, made.steps)
			require.NoError(t, err)
			fused, alone := twoEngines(t)
			for _, e := range []*engine.Engine{fused, alone} {
				f, ok := prepareFuzzed(t, e, p, nil)
				require.True(t, ok)
				call := fuzzCall{p: p, sizes: c.sizes, seed: 3}
				for _, s := range p.Symbols() {
					call.bindings = append(call.bindings, c.sizes[s])
				}
				out, err := f.run(t, call)
				require.NoError(t, err)
				require.Len(t, out[0].Data, 4*len(c.want))
				for i, want := range c.want {
					got := math.Float32frombits(binary.LittleEndian.Uint32(out[0].Data[4*i:]))
					require.True(t, got == want || got != got && want != want, "element %d is %v, not %v", i, got, want)
				}
				require.Zero(t, f.close(t))
			}
		})
	}
}
