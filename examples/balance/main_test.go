package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/conformance"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/workloads/gpt2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformance runs the conformance suite on the balancer: over two engines
// of this process, and over two workers with different transports.
func TestConformance(t *testing.T) {
	t.Run("Local", func(t *testing.T) {
		conformance.Run(t, func(t *testing.T) transport.Executor {
			engine := func() transport.Executor {
				ex, err := local.Open(local.WithThreads(2))
				require.NoError(t, err)
				return ex
			}
			return New(engine(), engine())
		}, conformance.Options{
			Pair: func(t *testing.T) (a, b transport.Executor) {
				ex, err := local.Open(local.WithThreads(2))
				require.NoError(t, err)
				t.Cleanup(func() { _ = ex.Close() })
				return New(ex), New(ex)
			},
		})
	})
	t.Run("Remote", func(t *testing.T) {
		over := func(t *testing.T, first, second *workertest.Worker) transport.Executor {
			b, err := open(t.Context(), []string{"tcp://" + first.TCP, "grpc://" + second.GRPC})
			require.NoError(t, err)
			return b
		}
		conformance.Run(t, func(t *testing.T) transport.Executor {
			return over(t, workertest.Start(t, nil), workertest.Start(t, nil))
		}, conformance.Options{
			Remote: true,
			Pair: func(t *testing.T) (a, b transport.Executor) {
				first, second := workertest.Start(t, nil), workertest.Start(t, nil)
				return over(t, first, second), over(t, first, second)
			},
		})
	})
}

// TestBalance runs the program over two workers: each gets half of the sessions.
func TestBalance(t *testing.T) {
	a, b := workertest.Start(t, nil), workertest.Start(t, nil)
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"-executors", "tcp://" + a.TCP + ",grpc://" + b.GRPC, "-sessions", "10", "-runs", "3"}, &out, &errs)
	require.Zero(t, code, errs.String())
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3, out.String())
	for i, line := range lines[1:] {
		f := strings.Fields(line)
		require.Equal(t, []string{"5", "5", "15", "0", "0"}, f[1:6], "worker %d:\n%s", i, &out)
	}
}

// TestLost stops a worker: sessions are then opened on the other one, and when
// that is gone too the error names both.
func TestLost(t *testing.T) {
	a, b := workertest.Start(t, nil), workertest.Start(t, nil)
	ctx := t.Context()
	ex, err := open(ctx, []string{"tcp://" + a.TCP, "tcp://" + b.TCP})
	require.NoError(t, err)
	defer ex.Close()
	require.NoError(t, a.Close())
	for range 3 {
		s, err := ex.NewSession(ctx)
		require.NoError(t, err)
		defer s.Close()
	}
	require.Equal(t, 3, ex.Counts()[1].Sessions)
	require.NoError(t, b.Close())
	_, err = ex.NewSession(ctx)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.ErrorContains(t, err, a.TCP)
	require.ErrorContains(t, err, b.TCP)
}

// TestText generates through the balancer: prefill and loop are one request of
// a session that can loop, and one run per token of one that cannot.
func TestText(t *testing.T) {
	const tokens = 20
	w := workertest.Start(t, nil)
	ctx := t.Context()
	m, err := gpt2.Load(ctx, "../../testdata/models/austen", gpt2.LoadOptions{Hashes: "off"})
	require.NoError(t, err)
	defer m.Close()
	write := func(ex transport.Executor) []int {
		client := genie.NewClient(ex)
		defer client.Close()
		s, err := client.NewSession(ctx)
		require.NoError(t, err)
		defer s.Close()
		out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: [][]int{{1, 2, 3}}, MaxNew: tokens, IgnoreEOS: true})
		require.NoError(t, err)
		return out.Tokens[0]
	}
	loops, err := open(ctx, []string{"tcp://" + w.TCP})
	require.NoError(t, err)
	defer loops.Close()
	plain := New(steps{loops.backends[0].exec})
	want := write(loops)
	require.Equal(t, want, write(plain))
	require.Equal(t, 1, loops.Counts()[0].Loops)
	require.Zero(t, loops.Counts()[0].Runs)
	require.Equal(t, tokens, plain.Counts()[0].Runs)
	require.Zero(t, plain.Counts()[0].Loops)
	require.Positive(t, loops.Counts()[0].Time)
	require.Less(t, loops.Counts()[0].Time, time.Hour)
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name string
		code int
		args []string
		says string
	}{
		{"no worker", 1, []string{"-executors", "local:,tcp://127.0.0.1:1"}, "unreachable"},
		{"no URL", 1, []string{"-executors", "here"}, "not an executor"},
		{"no sessions", 2, []string{"-sessions", "0"}, "-sessions"},
		{"unknown flag", 2, []string{"-nothing"}, "-nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			require.Equal(t, tt.code, run(t.Context(), tt.args, &out, &errs))
			require.Contains(t, errs.String(), tt.says)
			require.Empty(t, out.String())
		})
	}
}
