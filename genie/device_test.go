package genie_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/device/opaque"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// faulty is a worker on a device whose failures a test plants, and the text that
// is written on it while it has none.
func faulty(t *testing.T, m *gpt2.Model) (w *workertest.Worker, f *opaque.Faults, want [][]int) {
	t.Helper()
	f = &opaque.Faults{}
	w = workertest.StartEngine(t, engine.Options{Device: f.Open}, quick)
	c, err := genie.Open(t.Context(), "tcp://"+w.TCP)
	require.NoError(t, err)
	out, err := write(t.Context(), c, m, story())
	require.NoError(t, err)
	require.NoError(t, c.Close())
	return w, f, out.Tokens
}

// TestGenerateThroughDeviceLosses loses the worker's device while a text is
// written: another session sends the weights again, replays the tokens and
// continues with the same ones.
func TestGenerateThroughDeviceLosses(t *testing.T) {
	t.Parallel()
	m := tiny(t)
	w, f, want := faulty(t, m)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	losses := int64(0)
	for _, scheme := range []string{"tcp", "grpc"} {
		for _, p := range policies() {
			c, err := genie.Open(ctx, scheme+"://"+map[string]string{"tcp": w.TCP, "grpc": w.GRPC}[scheme], genie.WithPolicy(p), genie.WithHeartbeat(beat))
			require.NoError(t, err)
			s, err := c.NewSession(ctx)
			require.NoError(t, err)
			f.Lose("kernel", 100)
			out, err := genie.Generate(ctx, s, m.LM, story())
			require.NoError(t, err)
			require.Equal(t, want, out.Tokens)
			require.False(t, f.Planted())
			losses++
			require.Equal(t, p.Name() == semantic.Full().Name(), out.Rebuilt > 0, "a policy without state on the worker repeats one run")
			require.Equal(t, losses, w.Server.Meter().DeviceLosses.Load())
			require.NoError(t, s.Close())
			require.NoError(t, c.Close())
		}
	}
}

// TestDeviceLossDuringUpload loses the device while weights come, and at the
// first allocations.
func TestDeviceLossDuringUpload(t *testing.T) {
	t.Parallel()
	m := tiny(t)
	_, _, want := faulty(t, m)
	for _, at := range []string{"weight", "alloc"} {
		f := &opaque.Faults{}
		w := workertest.StartEngine(t, engine.Options{Device: f.Open}, quick)
		c, err := genie.Open(t.Context(), "tcp://"+w.TCP)
		require.NoError(t, err)
		f.Lose(at, 3)
		out, err := write(t.Context(), c, m, story())
		require.NoError(t, err)
		require.Equal(t, want, out.Tokens)
		require.Equal(t, 2, f.Opened(), at)
		require.NoError(t, c.Close())
		require.Eventually(t, func() bool { return w.Engine.Stats().StateBytes == 0 }, 10*time.Second, time.Millisecond)
	}
}

// TestDeviceLossWithoutRecovery ends with the device's error. The same client's
// next session works.
func TestDeviceLossWithoutRecovery(t *testing.T) {
	t.Parallel()
	m := tiny(t)
	w, f, want := faulty(t, m)
	c, err := genie.Open(t.Context(), "tcp://"+w.TCP, genie.WithRecovery(false))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	s, err := c.NewSession(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	idle, err := c.NewSession(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, idle.Close()) }()
	_, err = genie.Generate(t.Context(), idle, m.LM, story())
	require.NoError(t, err)
	f.Lose("kernel", 100)
	_, err = genie.Generate(t.Context(), s, m.LM, story())
	require.ErrorIs(t, err, genie.ErrDevice)
	for range 2 {
		_, err = genie.Generate(t.Context(), s, m.LM, story())
		require.ErrorIs(t, err, genie.ErrSessionLost)
		_, err = genie.Generate(t.Context(), idle, m.LM, story())
		require.ErrorIs(t, err, genie.ErrSessionLost)
	}
	out, err := write(t.Context(), c, m, story())
	require.NoError(t, err)
	require.Equal(t, want, out.Tokens)
}

// TestDeviceGivenUpElsewhere loses a device that does not open again: the
// generation moves to the next worker.
func TestDeviceGivenUpElsewhere(t *testing.T) {
	t.Parallel()
	m := tiny(t)
	one, f, want := faulty(t, m)
	two, _, _ := faulty(t, m)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := genie.Open(ctx, "tcp://"+one.TCP+",tcp://"+two.TCP)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	f.LoseFor("kernel", 100, 1000)
	out, err := write(ctx, c, m, story())
	require.NoError(t, err)
	require.Equal(t, want, out.Tokens)
	require.Error(t, one.Server.Alive())
	require.NoError(t, two.Server.Alive())
	alone, err := genie.Open(ctx, "tcp://"+one.TCP)
	require.NoError(t, err)
	defer func() { require.NoError(t, alone.Close()) }()
	_, err = alone.NewSession(ctx)
	require.ErrorIs(t, err, genie.ErrDevice, "and says so where there is no other")
}
