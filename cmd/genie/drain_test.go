package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// serveText is a server that sends text to every client.
func serveText(t *testing.T, text string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }))
	t.Cleanup(s.Close)
	return s.URL
}

// slowReader is a generation whose reader blocks until it is released: the
// worker runs out of credit, and its loop keeps running until then.
type slowReader struct {
	held   chan struct{} // closed with the first token of the loop
	read   chan struct{} // closed to resume
	done   chan error
	tokens int
}

// startSlowReader begins a generation of 120 tokens, of which a worker makes 64
// before it waits for credit.
func startSlowReader(t *testing.T, w *watched, url string, opts ...genie.Option) *slowReader {
	t.Helper()
	r := &slowReader{held: make(chan struct{}), read: make(chan struct{}), done: make(chan error, 1)}
	ctx := t.Context()
	c, err := genie.Open(ctx, url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	m, err := gpt2.Load(ctx, basic, gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	s, err := c.NewSession(ctx)
	require.NoError(t, err)
	go func() {
		_, err := genie.Generate(context.WithoutCancel(ctx), s, m.LM, genie.GenerateRequest{
			Prompts: [][]int{{1, 2}}, MaxNew: 120, IgnoreEOS: true,
			OnToken: func(_, _ int) error {
				if r.tokens++; r.tokens == 2 {
					close(r.held)
					<-r.read
				}
				return nil
			},
		})
		r.done <- err
	}()
	<-r.held
	require.Eventually(t, func() bool {
		_, body := w.get(t, "/metrics")
		return strings.Contains(body, "\ngenie_worker_loop_runs_total 64\n")
	}, 10*time.Second, 5*time.Millisecond, "the loop has to run out of credit")
	return r
}

// TestDrainFinishes stops a worker in the middle of a generation: it is no
// longer ready, it takes no new requests, the generation finishes, and then the
// worker exits with 0.
func TestDrainFinishes(t *testing.T) {
	for i, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			w := startWatched(t)
			r := startSlowReader(t, w, w.urls[i])
			require.NoError(t, w.cmd.Process.Signal(syscall.SIGTERM))
			w.draining(t)
			require.Equal(t, 1, cli(t, "health", w.urls[1]).code, "gRPC health is not serving")
			refused := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "2", "--executor", w.urls[i])
			require.Equal(t, 1, refused.code)
			close(r.read)
			require.NoError(t, <-r.done)
			require.Equal(t, 120, r.tokens)
			require.NoError(t, w.cmd.Wait())
			require.Zero(t, w.cmd.ProcessState.ExitCode())
		})
	}
}

// draining waits until the worker says that it is not ready; it is still alive.
func (w *watched) draining(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		code, body := w.get(t, "/readyz")
		return code == http.StatusServiceUnavailable && body == "shutting down\n"
	}, 10*time.Second, 5*time.Millisecond)
	code, _ := w.get(t, "/healthz")
	require.Equal(t, http.StatusOK, code)
}

// TestDrainHandsBack has a generation outlive --drain-timeout: its client, which
// does not look for another worker itself, gets
// a cause that it can act on, and the worker says so with its exit code.
func TestDrainHandsBack(t *testing.T) {
	for i, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			w := startWatched(t, "--drain-timeout", "200ms")
			r := startSlowReader(t, w, w.urls[i], genie.WithRecovery(false))
			code, _ := w.signal(t, syscall.SIGTERM)
			require.Equal(t, exitDrain, code)
			require.Contains(t, w.stderr.String(), "genie: the worker shut down with 1 requests under way")
			close(r.read)
			err := <-r.done
			require.ErrorIs(t, err, genie.ErrClosed)
			require.ErrorContains(t, err, "the worker is shutting down")
			require.GreaterOrEqual(t, r.tokens, 2)
		})
	}
}

// TestSecondSignal does not wait for the drain.
func TestSecondSignal(t *testing.T) {
	w := startWatched(t, "--drain-timeout", "1h")
	r := startSlowReader(t, w, w.urls[0])
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGTERM))
	w.draining(t)
	_, _ = w.signal(t, syscall.SIGTERM)
	status, ok := w.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGTERM, status.Signal())
	close(r.read)
	require.ErrorIs(t, <-r.done, genie.ErrUnreachable)
}

// TestDrainEndsWhateverRuns stops a worker during a step that would take an
// hour: it ends when the time to drain is over.
func TestDrainEndsWhateverRuns(t *testing.T) {
	for i, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			const patience = 300 * time.Millisecond
			w := startWatched(t, "--drain-timeout", patience.String())
			dial := map[string]func(string) (transport.Executor, error){
				"tcp":  func(addr string) (transport.Executor, error) { return tcp.Dial(t.Context(), addr) },
				"grpc": func(addr string) (transport.Executor, error) { return rpc.Dial(t.Context(), addr) },
			}
			ex, err := dial[scheme](strings.TrimPrefix(w.urls[i], scheme+"://"))
			require.NoError(t, err)
			defer ex.Close()
			s, err := ex.NewSession(t.Context())
			require.NoError(t, err)
			ref, err := s.Prepare(t.Context(), hours(), nil, nil)
			require.NoError(t, err)
			failed := make(chan error, 1)
			go func() {
				_, err := s.Run(context.WithoutCancel(t.Context()), transport.Call{Plan: ref})
				failed <- err
			}()
			require.Eventually(t, func() bool {
				_, body := w.get(t, "/metrics")
				return strings.Contains(body, "\ngenie_worker_requests_running 1\n")
			}, 10*time.Second, 5*time.Millisecond)
			begin := time.Now()
			code, _ := w.signal(t, syscall.SIGTERM)
			require.Equal(t, exitDrain, code)
			require.Less(t, time.Since(begin), patience+lastResort)
			require.ErrorIs(t, <-failed, transport.ErrClosed)
		})
	}
}

// hours is a plan of one step that takes an hour: the product of a transposed
// matrix with itself.
func hours() *plan.Plan {
	n := plan.C(8192)
	square := plan.Spec{DType: plan.F32, Shape: plan.Shape{n, n}}
	return &plan.Plan{
		Version: plan.Version, Name: "hours", Buffers: 2,
		Values: []plan.Value{
			{Kind: plan.KindConst, Spec: plan.Spec{DType: plan.F32}, Const: make([]byte, 4), Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: square, Buffer: 0},
			{Kind: plan.KindTemp, Spec: square, Buffer: 1},
		},
		Steps: []plan.Step{
			{Op: "expand", Attrs: plan.Attrs{plan.Dims("shape", n, n)}, In: []int{0}, Out: 1},
			{Op: "matmul", Attrs: plan.Attrs{plan.BoolAttr("trans_a", true), plan.BoolAttr("trans_b", false)}, In: []int{1, 1}, Out: 2},
		},
		Outputs: []plan.Output{{Name: "y", Value: 2, Place: plan.Download}},
	}
}
