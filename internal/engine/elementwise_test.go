package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
)

// operand is a tensor that broadcasts to shape, of any layout.
func (n *network) operand(shape []any, values []*lazy.Tensor) *lazy.Tensor {
	channels := shape[1].(int)
	switch n.rng.IntN(8) {
	case 0:
		return n.weight(1, 0.5, channels, 1, 1)
	case 1:
		return n.weight(1, 0.5)
	case 2:
		return n.g.Const([]float32{n.rng.Float32() + 0.5})
	case 3:
		return n.weight(1, 0.5, 1)
	case 4:
		n.n++
		return n.g.Input(fmt.Sprintf("sized%d", n.n), lazy.F32, shape[0], channels, 1, 1)
	case 5:
		n.n++
		return n.g.Input(fmt.Sprintf("whole%d", n.n), lazy.F32, shape...)
	default:
		return values[n.rng.IntN(len(values))]
	}
}

// elementwise is random steps over images of one shape, the first of which may be
// stored with channels last, and whose values are read in any order.
func (n *network) elementwise() {
	channels := []int{1, 3, 16, 600}[n.rng.IntN(4)]
	shape := []any{"batch", channels, 1 + n.rng.IntN(40), 1 + n.rng.IntN(7)}
	x := n.g.Input("x", lazy.F32, shape...)
	if n.rng.IntN(3) > 0 {
		x = n.conv(x, channels, channels, 1, n.rng.IntN(2) == 0, lazy.Conv{})
	}
	values := []*lazy.Tensor{x}
	for range 2 + n.rng.IntN(24) {
		a, b := values[max(0, len(values)-1-n.rng.IntN(3))], n.operand(shape, values)
		switch n.rng.IntN(11) {
		case 0:
			a = lazy.Add(a, b)
		case 1:
			a = lazy.Mul(b, a)
		case 2:
			a = lazy.Sub(b, a)
		case 3:
			a = lazy.Maximum(a, b)
		case 4:
			a = lazy.Clip(a, -1, 1.5)
		case 5:
			a = lazy.Sigmoid(a)
		case 6:
			a = lazy.Where(lazy.Greater(a, b), b, a)
		case 7:
			a = lazy.Cast(lazy.Cast(lazy.Clip(a, -9, 9), lazy.I64), lazy.F32)
		case 8:
			a = lazy.Mul(a, lazy.Clip(lazy.Add(a, n.g.Const([]float32{3})), 0, 6))
		case 9:
			a = lazy.Sub(a, b)
		default:
			a = lazy.ReLU(a)
		}
		values = append(values, a)
	}
	n.g.Output("y", values[len(values)-1])
	if n.rng.IntN(2) == 0 {
		n.g.Output("z", values[n.rng.IntN(len(values))])
	}
}

// TestElementwise compares groups of elementwise steps with the steps one by one,
// bit for bit.
func TestElementwise(t *testing.T) {
	longest := 0
	for seed := range uint64(60) {
		n := &network{g: lazy.NewGraph("elementwise"), rng: rand.New(rand.NewPCG(seed, 8))}
		n.elementwise()
		require.NoError(t, n.g.Err())
		srg, err := semantic.Analyze(n.g)
		require.NoError(t, err)
		sch, err := semantic.Full().Schedule(srg, semantic.Request{Profile: semantic.Profile{}, Outputs: n.g.Outputs()})
		require.NoError(t, err)
		for _, batch := range []int{1, 3} {
			fused := n.run(t, sch.Plan, batch, func() (*engine.Engine, error) {
				return engine.New(engine.Options{Device: cpu.Open, Threads: 2, Profile: true})
			})
			for label := range n.stats.Kernels {
				longest = max(longest, strings.Count(label, "+"))
			}
			alone := n.run(t, sch.Plan, batch, func() (*engine.Engine, error) {
				return engine.NewReference(engine.Options{Device: cpu.Open, Threads: 1}, false)
			})
			require.Len(t, fused, len(alone))
			for i := range alone {
				for j := range alone[i] {
					if a, f := alone[i][j], fused[i][j]; a != f && (a == a || f == f) {
						t.Fatalf("seed %d, batch %d: element %d of output %d is %v, by steps %v", seed, batch, j, i, f, a)
					}
				}
			}
		}
	}
	require.Greater(t, longest, 9, "steps of the longest group")
}
