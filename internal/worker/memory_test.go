package worker_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

const mib = 1 << 20

// bulk is y = x + w over floats of the given number of bytes, where y is
// carried and retained, with a weight that follows from fill.
func bulk(fill float32, size int) (*plan.Plan, transport.Weights) {
	w := bytes.Repeat(floats(fill, fill+1, fill+2, fill+3), size/16)
	shape := []int{size / 4}
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(size / 4)}}
	h := transport.HashWeight(plan.F32, shape, w)
	p := &plan.Plan{
		Version: plan.Version, Name: "bulk", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindWeight, Name: "w", Spec: spec, Buffer: plan.NoBuffer, Hash: h, Storage: plan.F32},
			{Kind: plan.KindState, Name: "last", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "y", Spec: spec, Buffer: 0},
		},
		Steps:  []plan.Step{{Op: "add", In: []int{0, 1}, Out: 3}},
		Inputs: []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{
			{Name: "y", Value: 3, Place: plan.Download, Cause: plan.CauseActivation},
			{Name: "kept", Value: 3, Place: plan.Retain, Cause: plan.CauseActivation},
		},
		States: []plan.State{{Name: "last", Mode: plan.StateReplace, In: 2, Out: 3}},
	}
	return p, transport.Weights{h: {Name: "w", Hash: h, Storage: plan.F32, Shape: shape, Data: w}}
}

// runBulk runs a bulk plan in a session, with zeros, and checks the result.
func runBulk(ctx context.Context, t testing.TB, s transport.Session, ref transport.PlanRef, fill float32, size int) error {
	res, err := s.Run(ctx, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: make([]byte, size), Cause: plan.CauseActivation}}})
	if err != nil {
		return err
	}
	want := bytes.Repeat(floats(fill, fill+1, fill+2, fill+3), size/16)
	if !bytes.Equal(want, res.Outputs[0].Tensor.Data) {
		t.Error("another result")
	}
	return s.Release(ctx, res.Outputs[1].Handle)
}

// useBulk opens a session, prepares and runs a bulk plan.
func useBulk(ctx context.Context, t testing.TB, ex transport.Executor, fill float32, size int) (transport.Session, error) {
	s, err := ex.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	p, weights := bulk(fill, size)
	ref, err := s.Prepare(ctx, p, weights, nil)
	if err == nil {
		err = runBulk(ctx, t, s, ref, fill, size)
	}
	return s, err
}

func memoryError(t testing.TB, err error) *transport.MemoryError {
	t.Helper()
	require.ErrorIs(t, err, transport.ErrMemory)
	m, ok := errors.AsType[*transport.MemoryError](err)
	require.True(t, ok, "%v", err)
	require.Greater(t, m.Need, m.Free)
	require.NotEmpty(t, m.For)
	return m
}

// TestMemoryRefused refuses what does not fit with the numbers, before a byte
// of it has arrived, and continues to serve every other client.
func TestMemoryRefused(t *testing.T) {
	for name, dial := range dialers {
		t.Run(name, func(t *testing.T) {
			w := workertest.StartEngine(t, engine.Options{Threads: 2, MemLimit: 16 * mib}, nil)
			watch := newBystander(t, w)
			ex, err := dial(t.Context(), w, nil)
			require.NoError(t, err)
			defer func() { _ = ex.Close() }()
			_, err = useBulk(t.Context(), t, ex, 1, 40*mib)
			m := memoryError(t, err)
			require.InDelta(t, 40*mib, m.Need, 1024, "with what is kept beside a weight")
			require.EqualValues(t, 16*mib, m.Limit)
			require.Equal(t, "the weights of the plan", m.For)
			require.Zero(t, ex.Ledger().Snapshot().Sent[plan.CauseWeights])
			watch.check()

			s, err := useBulk(t.Context(), t, ex, 1, mib)
			require.NoError(t, err, "the connection stays usable")
			require.NoError(t, s.Close())
			// Weight, input and scratch fit, with the state they do not.
			s, err = useBulk(t.Context(), t, ex, 2, 5*mib)
			m = memoryError(t, err)
			require.EqualValues(t, 16*mib, m.Limit)
			require.Eventually(t, func() bool { st := w.Engine.Stats(); return st.RetainedBytes < mib && st.StateBytes < mib }, 5*time.Second, time.Millisecond)
			p, weights := bulk(3, mib/2)
			ref, err := s.Prepare(t.Context(), p, weights, nil)
			require.NoError(t, err)
			require.NoError(t, runBulk(t.Context(), t, s, ref, 3, mib/2), "and so does the session")
			watch.check()
			st, err := ex.Stats(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 16*mib, st.MemoryLimit)
			require.Equal(t, st.MemoryUsed, st.WeightBytes+st.StateBytes+st.RetainedBytes+st.ScratchBytes+st.StagingBytes+st.PlanBytes+st.BufferBytes)
		})
	}
}

// TestInputsRefused refuses the payload of a call that is too large to be
// received.
func TestInputsRefused(t *testing.T) {
	w := workertest.StartEngine(t, engine.Options{Threads: 2, MemLimit: 9 * mib}, nil)
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.Sym("n")}}
	p := &plan.Plan{
		Version: plan.Version, Name: "double", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "y", Spec: spec, Buffer: 0},
		},
		Steps:   []plan.Step{{Op: "add", In: []int{0, 0}, Out: 1}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 1, Place: plan.Download, Cause: plan.CauseActivation}},
	}
	ex, err := dialers["tcp"](t.Context(), w, nil)
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	ref, err := s.Prepare(t.Context(), p, nil, nil)
	require.NoError(t, err)
	run := func(size int) error {
		_, err := s.Run(t.Context(), transport.Call{
			Plan: ref, Bindings: []int{size / 4}, Inputs: []transport.Input{{Data: make([]byte, size), Cause: plan.CauseActivation}},
		})
		return err
	}
	m := memoryError(t, run(20*mib))
	require.EqualValues(t, 20*mib, m.Need)
	require.Contains(t, m.For, "receive")
	m = memoryError(t, run(5*mib))
	require.Contains(t, m.For, "scratch")
	require.NoError(t, run(3*mib))
	require.NoError(t, s.Close())
	require.Eventually(t, func() bool { return w.Server.Staged() == 0 }, 5*time.Second, time.Millisecond)
}

// TestSessionMemoryOnTheWire bounds each session by itself.
func TestSessionMemoryOnTheWire(t *testing.T) {
	w := workertest.StartEngine(t, engine.Options{Threads: 2, SessionMemory: 3 * mib}, nil)
	ex, err := dialers["tcp"](t.Context(), w, nil)
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	for range 2 {
		_, err = useBulk(t.Context(), t, ex, 1, mib)
		require.NoError(t, err)
	}
	_, err = useBulk(t.Context(), t, ex, 1, 2*mib)
	m := memoryError(t, err)
	require.EqualValues(t, 3*mib, m.Limit)
	require.InDelta(t, 4*mib, m.Need, 1024, "state and kept output")
}

// TestClientsInLittleMemory opens, runs, is refused, leaves in the middle and
// closes over real sockets. No result is wrong, errors are about memory, and
// everything comes back.
func TestClientsInLittleMemory(t *testing.T) {
	const limit = 12 * mib
	w := workertest.StartEngine(t, engine.Options{Threads: 2, MemLimit: limit, MaxPlans: 4}, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ran, refused := 0, 0
	for g := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			name := []string{"tcp", "grpc"}[g%2]
			for range 8 {
				ex, err := dialers[name](t.Context(), w, nil)
				if errors.Is(err, transport.ErrMemory) { // which a connection takes, too
					mu.Lock()
					refused++
					mu.Unlock()
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					s, err := useBulk(t.Context(), t, ex, float32(rng.IntN(8)), (1+rng.IntN(4))*mib/2)
					mu.Lock()
					switch {
					case err == nil:
						ran++
					case errors.Is(err, transport.ErrMemory):
						refused++
					default:
						t.Error(err)
					}
					mu.Unlock()
					if used := w.Engine.Memory().Used(); used > limit {
						t.Errorf("%d bytes used", used)
					}
					if s != nil && rng.IntN(3) > 0 {
						_ = s.Close()
					}
				}
				if rng.IntN(2) == 0 { // in the middle of something
					ctx, cancel := context.WithCancel(t.Context())
					go cancel()
					_, _ = useBulk(ctx, t, ex, float32(rng.IntN(8)), mib)
					cancel()
				}
				if err := ex.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Positive(t, ran)
	require.Positive(t, refused)
	require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 0 && w.Server.Staged() == 0 }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { // connections give back what they took after their sessions
		w.Engine.Memory().Reclaim()
		return w.Engine.Memory().Used() == 0
	}, 10*time.Second, time.Millisecond, "%v", w.Engine.Memory().Held())
}
