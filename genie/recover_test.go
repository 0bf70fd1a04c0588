package genie_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/fault"
	"github.com/genie-sdk/go/internal/measure"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// beat is a heartbeat that makes tests short.
const beat = 150 * time.Millisecond

func quick(o *worker.Options) { o.Silence = beat }

func tiny(t testing.TB) *gpt2.Model {
	t.Helper()
	m, err := gpt2.Load(context.Background(), "../testdata/gpt2/basic", gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// story is what the tests let be written: a batch of different lengths, sampled.
func story() genie.GenerateRequest {
	return genie.GenerateRequest{
		Prompts: [][]int{{1, 2, 3}, {7}}, MaxNew: 16, Temperature: .9, TopK: 40, Seed: 11, IgnoreEOS: true,
	}
}

// unbroken is the text that no fault may change.
func unbroken(t *testing.T, m *gpt2.Model, r genie.GenerateRequest) [][]int {
	t.Helper()
	c, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	out, err := write(t.Context(), c, m, r)
	require.NoError(t, err)
	return out.Tokens
}

func write(ctx context.Context, c *genie.Client, m *gpt2.Model, r genie.GenerateRequest) (*genie.Generation, error) {
	s, err := c.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	return genie.Generate(ctx, s, m.LM, r)
}

// typed verifies that an error is one that a program can tell from others.
func typed(t *testing.T, err error) {
	t.Helper()
	for _, cause := range []error{
		genie.ErrUnreachable, genie.ErrSessionLost, genie.ErrCorrupt, genie.ErrProtocol, genie.ErrVersion, genie.ErrLimit,
		context.DeadlineExceeded,
	} {
		if errors.Is(err, cause) {
			return
		}
	}
	require.Fail(t, "an error without a cause", "%v", err)
}

// policies are one that delegates the loop, one that goes step by step, and one
// that leaves nothing on the worker.
func policies() []semantic.Policy {
	return []semantic.Policy{semantic.Full(), semantic.Resident(), semantic.Blind()}
}

// TestGenerateThroughFaults writes a text over links of every kind of fault,
// with fixed seeds: its tokens are those of an unbroken run.
func TestGenerateThroughFaults(t *testing.T) {
	t.Parallel()
	m := tiny(t)
	want := unbroken(t, m, story())
	w := workertest.Start(t, quick)
	for _, tt := range []struct {
		name   string
		scheme string
		opts   fault.Options
	}{
		{"a quarter of the requests lost", "tcp", fault.Options{Frames: true, Decide: fault.Drop(1, .25, 0)}},
		{"half of the replies lost", "tcp", fault.Options{Frames: true, Decide: fault.Drop(2, 0, .5)}},
		{"both lost", "tcp", fault.Options{Frames: true, Decide: fault.Drop(3, .25, .25)}},
		{"cut in flight", "tcp", fault.Options{Frames: true, Decide: fault.Sometimes(4, .1, fault.Cut)}},
		{"truncated", "tcp", fault.Options{Frames: true, Decide: fault.Sometimes(5, .1, fault.Truncate)}},
		{"bits flipped", "tcp", fault.Options{Frames: true, Decide: fault.Sometimes(6, .1, fault.Flip)}},
		{"frames swapped", "tcp", fault.Options{Frames: true, Decide: fault.Sometimes(7, .1, fault.Swap)}},
		{"stalls", "tcp", fault.Options{Frames: true, Decide: fault.Sometimes(8, .03, fault.Stall)}},
		{"late", "tcp", fault.Options{Frames: true, Decide: fault.Late(9, 4*time.Millisecond)}},
		{"cut in flight", "grpc", fault.Options{Decide: fault.Sometimes(10, .05, fault.Cut)}},
		{"truncated", "grpc", fault.Options{Decide: fault.Sometimes(11, .05, fault.Truncate)}},
		{"stalls", "grpc", fault.Options{Decide: fault.Sometimes(12, .05, fault.Stall)}},
		{"late", "grpc", fault.Options{Decide: fault.Late(13, 4*time.Millisecond)}},
		// Seldom: a payload is many pieces, and is given up when it came damaged four times.
		{"bits flipped", "grpc", fault.Options{Decide: fault.Sometimes(14, .01, fault.Flip)}},
	} {
		var faults atomic.Int64
		t.Cleanup(func() { require.Positive(t, faults.Load(), "%s: nothing happened", tt.name) })
		for _, p := range policies() {
			t.Run(tt.scheme+"/"+tt.name+"/"+p.Name(), func(t *testing.T) {
				t.Parallel()
				target := map[string]string{"tcp": w.TCP, "grpc": w.GRPC}[tt.scheme]
				link, err := fault.Start(target, tt.opts)
				require.NoError(t, err)
				defer func() {
					faults.Add(int64(link.Faults()))
					require.NoError(t, link.Close())
				}()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				c, err := genie.Open(ctx, tt.scheme+"://"+link.Addr(), genie.WithPolicy(p), genie.WithHeartbeat(beat))
				require.NoError(t, err, "the faults spare handshakes")
				defer func() { require.NoError(t, c.Close()) }()
				out, err := write(ctx, c, m, story())
				require.NoError(t, err)
				require.Equal(t, want, out.Tokens)
			})
		}
	}
	t.Cleanup(func() { // what is left is held for a client that may come back
		require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == int64(w.Server.Detached()) }, 10*time.Second, time.Millisecond)
	})
}

// TestFaultsWithoutRecovery ends in typed errors, well before the caller's
// deadline, and never in other tokens. Over TCP a fault hits a frame, over gRPC
// any bytes of a plain-text HTTP/2 connection.
func TestFaultsWithoutRecovery(t *testing.T) {
	t.Parallel()
	m := tiny(t)
	want := unbroken(t, m, story())
	w := workertest.Start(t, quick)
	for name, what := range map[string]fault.Action{
		"lost": fault.Lose, "cut": fault.Cut, "truncated": fault.Truncate, "flipped": fault.Flip, "swapped": fault.Swap, "stalled": fault.Stall,
	} {
		for scheme, target := range map[string]string{"tcp": w.TCP, "grpc": w.GRPC} {
			var faults atomic.Int64
			t.Cleanup(func() { require.Positive(t, faults.Load(), "%s/%s: nothing happened", scheme, name) })
			for seed := range uint64(3) {
				for _, p := range policies() {
					t.Run(scheme+"/"+name+"/"+p.Name(), func(t *testing.T) {
						t.Parallel()
						link, err := fault.Start(target, fault.Options{Frames: scheme == "tcp", Decide: fault.Sometimes(seed, .1, what)})
						require.NoError(t, err)
						defer func() {
							faults.Add(int64(link.Faults()))
							require.NoError(t, link.Close())
						}()
						ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
						defer cancel()
						c, err := genie.Open(ctx, scheme+"://"+link.Addr(), genie.WithPolicy(p), genie.WithHeartbeat(beat), genie.WithRecovery(false))
						require.NoError(t, err, "the fault spares handshakes")
						defer func() { require.NoError(t, c.Close()) }()
						out, err := write(ctx, c, m, story())
						if err != nil {
							typed(t, err)
							require.NoError(t, ctx.Err(), "noticed by nothing but the deadline: %v", err)
							return
						}
						require.Equal(t, want, out.Tokens)
					})
				}
			}
		}
	}
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 0 }, 10*time.Second, time.Millisecond)
	})
}

// TestEveryCut cuts the connection once, before each frame of each direction in
// turn.
func TestEveryCut(t *testing.T) {
	m := tiny(t)
	r := story()
	r.MaxNew = 6
	want := unbroken(t, m, r)
	w := workertest.Start(t, quick)
	for i, p := range append(policies(), semantic.Full()) {
		pipelined := i < len(policies())
		for _, toWorker := range []bool{true, false} {
			for at := 1; ; at += 1 + at/8 { // frame 0 is the handshake
				var hit atomic.Bool
				cut := fault.At(0, at, toWorker, fault.Cut)
				link, err := fault.Start(w.TCP, fault.Options{Frames: true, Decide: func(p fault.Piece) fault.Verdict {
					v := cut(p)
					if v.Action == fault.Cut {
						hit.Store(true)
					}
					return v
				}})
				require.NoError(t, err)
				c, err := genie.Open(t.Context(), "tcp://"+link.Addr(), genie.WithPolicy(&measure.Policy{Policy: p, InTurn: !pipelined}))
				require.NoError(t, err)
				out, err := write(t.Context(), c, m, r)
				require.NoError(t, err, "%s, cut at %d", p.Name(), at)
				require.Equal(t, want, out.Tokens, "%s, cut at %d", p.Name(), at)
				require.NoError(t, c.Close())
				require.NoError(t, link.Close())
				if !hit.Load() || at > 12 {
					require.GreaterOrEqual(t, at, 6, "%s has so few frames", p.Name())
					break
				}
			}
		}
	}
}

// TestWorkerShutsDown shuts a worker down in the middle of a loop: the
// generation resumes on another one, or on its replacement.
func TestWorkerShutsDown(t *testing.T) {
	m := tiny(t)
	want := unbroken(t, m, story())
	for _, p := range policies() {
		for _, second := range []bool{true, false} {
			a, b := workertest.Start(t, nil), workertest.Start(t, nil)
			link, err := fault.Start(a.TCP, fault.Options{})
			require.NoError(t, err)
			urls := "tcp://" + link.Addr()
			if second {
				urls += ",tcp://" + b.TCP
			}
			c, err := genie.Open(t.Context(), urls, genie.WithPolicy(p), genie.WithReconnect(2*time.Second))
			require.NoError(t, err)
			r, n := story(), 0
			r.OnToken = func(int, int) error {
				if n++; n == 7 {
					if !second {
						link.Retarget(b.TCP)
					}
					return a.Close()
				}
				return nil
			}
			out, err := write(t.Context(), c, m, r)
			require.NoError(t, err, p.Name())
			require.Equal(t, want, out.Tokens, p.Name())
			require.NoError(t, c.Close())
			require.NoError(t, link.Close())
		}
	}
}

// TestStateIsNeverZeros cuts off a session for longer than its lease: its
// carried state is lost, which the next run reports.
func TestStateIsNeverZeros(t *testing.T) {
	w := workertest.Start(t, func(o *worker.Options) { o.Lease = time.Millisecond })
	for range 3 {
		gate := make(chan struct{})
		link, err := fault.Start(w.TCP, fault.Options{Accept: func(n int) {
			if n > 0 {
				<-gate
			}
		}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, link.Close()) })
		c, err := genie.Open(t.Context(), "tcp://"+link.Addr())
		require.NoError(t, err)
		y := rnn()
		s := session(t, c)
		x := genie.Feed{"x": genie.Float32s([]float32{1, 2}, 1, 2)}
		first, err := s.Run(t.Context(), x, y)
		require.NoError(t, err)
		link.CutAll()
		require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 0 }, 5*time.Second, time.Millisecond)
		close(gate)
		for range 3 {
			_, err = s.Run(t.Context(), x, y)
			require.ErrorIs(t, err, genie.ErrSessionLost)
		}
		require.NoError(t, s.Reset(t.Context()))
		again, err := s.Run(t.Context(), x, y)
		require.NoError(t, err)
		require.Equal(t, floats(t, first[0]), floats(t, again[0]))
		require.NoError(t, s.Close())
		require.NoError(t, c.Close())
	}
}

// TestBlindStateSurvives verifies that state which is sent with the runs
// survives on this side, whatever happens to the worker.
func TestBlindStateSurvives(t *testing.T) {
	a, b := workertest.Start(t, nil), workertest.Start(t, nil)
	c, err := genie.Open(t.Context(), "tcp://"+a.TCP+",grpc://"+b.GRPC, genie.WithPolicy(semantic.Blind()), genie.WithReconnect(100*time.Millisecond))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	y := rnn()
	s := session(t, c)
	var h [2]float32
	for i := range 4 {
		if i == 2 {
			require.NoError(t, a.Close())
		}
		x := [2]float32{float32(i), -1}
		out, err := s.Run(t.Context(), genie.Feed{"x": genie.Float32s(x[:], 1, 2)}, y)
		require.NoError(t, err)
		h = rnnStep(x, h)
		require.InDeltaSlice(t, h[:], floats(t, out[0]), 1e-6)
	}
}

// TestLogitsOfAReplay verifies that a caller who asks for logits gets one row
// per step, the same as without a replay.
func TestLogitsOfAReplay(t *testing.T) {
	m := tiny(t)
	logits := func(c *genie.Client) (out [][]byte) {
		r := story()
		r.MaxNew = 5
		r.OnLogits = func(_ int, l transport.Tensor) error {
			require.Equal(t, plan.F32, l.DType)
			require.Equal(t, len(out) == 0, l.Shape[1] > 1, "%v", l.Shape)
			out = append(out, l.Data)
			return nil
		}
		_, err := write(t.Context(), c, m, r)
		require.NoError(t, err)
		return out
	}
	here, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer func() { require.NoError(t, here.Close()) }()
	want := logits(here)
	a, b := workertest.Start(t, nil), workertest.Start(t, nil)
	c, err := genie.Open(t.Context(), "tcp://"+a.TCP+",grpc://"+b.GRPC, genie.WithReconnect(100*time.Millisecond))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	r := story()
	s := session(t, c)
	got := [][]byte{}
	r.MaxNew = 5
	r.OnLogits = func(_ int, l transport.Tensor) error {
		if got = append(got, l.Data); len(got) == 3 {
			return a.Close()
		}
		return nil
	}
	out, err := genie.Generate(t.Context(), s, m.LM, r)
	require.NoError(t, err)
	require.Equal(t, 1, out.Rebuilt)
	require.Equal(t, want, got)
	require.Len(t, out.Steps, 4)
}
