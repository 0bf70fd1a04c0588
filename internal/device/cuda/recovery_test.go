package cuda_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
	"github.com/genie-sdk/go/internal/device/mixed"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// writer is a worker on an emulated device, and a model that writes on it.
type writer struct {
	drv *emulator.Driver
	w   *workertest.Worker
	m   *gpt2.Model
}

func newWriter(t *testing.T, memory int64) *writer {
	t.Helper()
	m, err := gpt2.Load(t.Context(), "../../../testdata/gpt2/basic", gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	drv := emulator.New(emulator.Options{Memory: memory, Check: emulator.Bounds})
	open := mixed.Open(mixed.Options{Primary: cuda.Open(drv, 0, cuda.Options{}), CPU: cpu.Open})
	return &writer{drv: drv, w: workertest.StartEngine(t, engine.Options{Device: open}, nil), m: m}
}

// write writes a short text, which has the same tokens each time.
func (w *writer) write(ctx context.Context, c *genie.Client) ([][]int, error) {
	s, err := c.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	out, err := genie.Generate(ctx, s, w.m.LM, genie.GenerateRequest{
		Prompts: [][]int{{1, 2, 3}}, MaxNew: 6, Temperature: .9, TopK: 40, Seed: 3, IgnoreEOS: true,
	})
	if err != nil {
		return nil, err
	}
	return out.Tokens, nil
}

func (w *writer) dial(t *testing.T, o ...genie.Option) *genie.Client {
	t.Helper()
	c, err := genie.Open(t.Context(), "tcp://"+w.w.TCP, o...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// illegal is an access of a kernel to memory that is not there.
var illegal = &driver.Error{Call: "cuLaunchKernel", Code: 700, Name: "CUDA_ERROR_ILLEGAL_ADDRESS", Sticky: true}

// TestContextLost loses the context of a worker's device at calls of each kind,
// as they are made or as they execute. A client that recovers gets the same
// tokens from a fresh context; the last one's memory has gone.
func TestContextLost(t *testing.T) {
	w := newWriter(t, 64<<20)
	c := w.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	want, err := w.write(ctx, c)
	require.NoError(t, err)
	for i, f := range []emulator.Fault{
		{Call: emulator.CallLaunch, After: 40, Late: true},
		{Call: emulator.CallLaunch, After: 3},
		{Call: emulator.CallCopy, After: 11, Late: true},
		{Call: emulator.CallSynchronize, After: 5},
	} {
		f.Err = illegal
		w.drv.Inject(f)
		got, err := w.write(ctx, c)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.EqualValues(t, i+1, w.w.Server.Meter().DeviceLosses.Load())
		require.Equal(t, i+2, w.drv.Counts().Opens)
	}
	without := w.dial(t, genie.WithRecovery(false))
	w.drv.Inject(emulator.Fault{Call: emulator.CallLaunch, After: 20, Late: true, Err: illegal})
	_, err = w.write(ctx, without)
	require.ErrorIs(t, err, genie.ErrDevice)
	require.ErrorContains(t, err, "CUDA_ERROR_ILLEGAL_ADDRESS")
	got, err := w.write(ctx, without)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// TestOutOfDeviceMemory is a refusal like any other: the context stays, and so do
// the sessions.
func TestOutOfDeviceMemory(t *testing.T) {
	w := newWriter(t, 64<<20)
	c := w.dial(t)
	want, err := w.write(t.Context(), c)
	require.NoError(t, err)
	full := &driver.Error{Call: "cuMemAlloc", Code: 2, Name: "CUDA_ERROR_OUT_OF_MEMORY"}
	w.w.Engine.Memory().Reclaim() // the weights, which no session uses
	w.drv.Inject(emulator.Fault{Call: emulator.CallAlloc, After: 1, Err: full})
	got, err := w.write(t.Context(), c)
	require.NoError(t, err, "a weight that was refused is sent again")
	require.Equal(t, want, got)
	w.drv.Inject(emulator.Fault{Call: emulator.CallLaunch, After: 30, Err: full})
	_, err = w.write(t.Context(), c)
	require.ErrorIs(t, err, transport.ErrMemory)
	got, err = w.write(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Zero(t, w.w.Server.Meter().DeviceLosses.Load())
	require.InDelta(t, 48<<20, w.w.Engine.Memory().Limit(), 1<<20, "the device's memory is the worker's budget, but for a reserve")
}
