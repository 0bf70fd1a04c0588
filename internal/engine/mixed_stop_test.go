package engine_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// TestMixedCancelled cancels runs at many moments: they end soon, and leave the
// session's carried state and the next run unchanged.
func TestMixedCancelled(t *testing.T) {
	e, err := engine.New(engine.Options{Threads: 2, Device: helped(cpu.Open, "softmax")})
	require.NoError(t, err)
	f, ok := prepareFuzzed(t, e, softmaxPlan(), nil)
	require.True(t, ok)
	want := runSoftmax(t, f, 4)
	const rows = 3000
	start := time.Now()
	runSoftmax(t, f, rows)
	took := time.Since(start)
	cut := 0
	for i := range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), took*time.Duration(i)/20)
		c, err := f.s.NewCall(f.prog, []int{rows})
		require.NoError(t, err)
		require.NoError(t, c.SetInput(0, make([]byte, 4*rows*softmaxWidth)))
		if err := c.Run(ctx); err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cut++
		}
		c.Release()
		cancel()
	}
	require.Positive(t, cut)
	require.Equal(t, want, runSoftmax(t, f, 4))
	f.s.Close()
	require.NoError(t, e.Close())
	require.Zero(t, e.Memory().Used())
}

// TestMixedCancelledCopy cancels a run while a retained value that the CPU reads is
// copied to it.
func TestMixedCancelledCopy(t *testing.T) {
	e, err := engine.New(engine.Options{Device: helped(cpu.Open, "exp")})
	require.NoError(t, err)
	const rows = 2000
	f, _ := prepareFuzzed(t, e, softmaxPlan(), nil)
	call := func() *engine.Call {
		c, err := f.s.NewCall(f.prog, []int{rows})
		require.NoError(t, err)
		return c
	}
	c := call()
	require.NoError(t, c.SetInput(0, make([]byte, 4*rows*softmaxWidth)))
	require.NoError(t, c.Run(context.Background()))
	_, h := c.Output(1)
	c.Release()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, ctx := range []context.Context{ctx, context.Background()} {
		c := call()
		require.NoError(t, c.SetHandle(0, h))
		require.ErrorIs(t, c.Run(ctx), ctx.Err())
		c.Release()
	}
	f.s.Close()
	require.NoError(t, e.Close())
	require.Zero(t, e.Memory().Used())
}

// TestMixedMemory verifies that the CPU's copies are counted, and refused where
// there is no room.
func TestMixedMemory(t *testing.T) {
	const rows = 256
	alone, err := engine.New(engine.Options{Device: cpu.Open})
	require.NoError(t, err)
	defer alone.Close()
	f, _ := prepareFuzzed(t, alone, softmaxPlan(), nil)
	runSoftmax(t, f, rows)
	own := alone.Stats().ScratchBytes
	e, err := engine.New(engine.Options{Device: helped(cpu.Open, "softmax")})
	require.NoError(t, err)
	g, _ := prepareFuzzed(t, e, softmaxPlan(), nil)
	runSoftmax(t, g, rows)
	require.Greater(t, e.Stats().ScratchBytes, own+4*rows*softmaxWidth, "the CPU has a copy of it")
	g.s.Close()
	require.NoError(t, e.Close())
	require.Zero(t, e.Memory().Used())

	small, err := engine.New(engine.Options{Device: helped(cpu.Open, "softmax"), MemLimit: own + own/2 + 1<<20})
	require.NoError(t, err)
	h, ok := prepareFuzzed(t, small, softmaxPlan(), nil)
	require.True(t, ok)
	c, err := h.s.NewCall(h.prog, []int{rows})
	require.NoError(t, err)
	require.NoError(t, c.SetInput(0, make([]byte, 4*rows*softmaxWidth)))
	var full *transport.MemoryError
	require.ErrorAs(t, c.Run(context.Background()), &full)
	c.Release()
	h.s.Close()
	h.s = small.NewSession()
	runSoftmax(t, h, 4)
	h.s.Close()
	require.NoError(t, small.Close())
	require.Zero(t, small.Memory().Used())
}

const softmaxWidth = 1000

// softmaxPlan computes exp(softmax(exp(x))) of rows, and retains the
// intermediate values.
func softmaxPlan() *plan.Plan {
	m := planmaker.New(nil)
	m.Plan().Name = "softmax"
	x := m.Input(plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.Sym("n"), plan.C(softmaxWidth)}})
	a, _ := m.Apply("exp", nil, x)
	b, _ := m.Apply("softmax", op.Softmax{Axis: -1}.Attrs(), a)
	c, _ := m.Apply("exp", nil, b)
	m.Plan().Outputs = []plan.Output{{Name: "c", Value: c, Place: plan.Download}, {Name: "b", Value: b, Place: plan.Retain}}
	m.Assign()
	return m.Plan()
}

func runSoftmax(t *testing.T, f *fuzzed, rows int) []byte {
	t.Helper()
	c, err := f.s.NewCall(f.prog, []int{rows})
	require.NoError(t, err)
	defer c.Release()
	require.NoError(t, c.SetInput(0, planmaker.Elements(plan.F32, rows*softmaxWidth, 5)))
	require.NoError(t, c.Run(context.Background()))
	out, _ := c.Output(0)
	_, h := c.Output(1)
	kept, err := f.s.Read(h)
	require.NoError(t, err)
	got := append(slices.Clone(out.Data), kept.Data...)
	f.s.Release(h)
	return got
}
