package metrics_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/fault"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/metrics"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// scraped is a worker and what its metrics say.
type scraped struct {
	*workertest.Worker
	t *testing.T
	r *prometheus.Registry
}

func start(t *testing.T, change func(*worker.Options)) *scraped {
	t.Helper()
	w := workertest.Start(t, change)
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(metrics.New(w.Server, "v1")))
	return &scraped{w, t, r}
}

func (w *scraped) value(name string) float64 {
	w.t.Helper()
	all := values(w.t, w.r)
	require.Contains(w.t, all, "genie_worker_"+name)
	return all["genie_worker_"+name]
}

// becomes waits for a value.
func (w *scraped) becomes(name string, want float64) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.value(name) == want }, 10*time.Second, time.Millisecond, name)
}

func (w *scraped) open(url string) (*genie.Client, *genie.Session) {
	w.t.Helper()
	c, err := genie.Open(w.t.Context(), url)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = c.Close() })
	s, err := c.NewSession(w.t.Context())
	require.NoError(w.t, err)
	return c, s
}

// double runs a program of the given name.
func double(ctx context.Context, s *genie.Session, name string, n int) error {
	g := lazy.NewGraph(name)
	x := g.Input("x", lazy.F32, "n")
	_, err := s.Run(ctx, genie.Feed{"x": genie.Float32s(make([]float32, n), n)}, lazy.Add(x, x))
	return err
}

func loadBasic(t *testing.T) *gpt2.Model {
	t.Helper()
	m, err := gpt2.Load(t.Context(), filepath.Join("..", "..", "..", "testdata", "gpt2", "basic"), gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// TestReconnectsAreCounted cuts the link of a client that comes back, and then
// of one that does not.
func TestReconnectsAreCounted(t *testing.T) {
	w := start(t, func(o *worker.Options) { o.Lease = 200 * time.Millisecond })
	var barred atomic.Pointer[chan struct{}] // until it is closed, connections wait
	proxy, err := fault.Start(w.TCP, fault.Options{Accept: func(int) {
		if c := barred.Load(); c != nil {
			<-*c
		}
	}})
	require.NoError(t, err)
	defer proxy.Close()
	c, s := w.open("tcp://" + proxy.Addr())
	require.NoError(t, double(t.Context(), s, "a", 4))
	for n := range 3 {
		w.becomes("sessions_resumed_total", float64(n))
		proxy.CutAll()
		require.NoError(t, double(t.Context(), s, "a", 4))
	}
	w.becomes("sessions_resumed_total", 3)
	require.EqualValues(t, 1, w.value("sessions_total"), "it is one and the same")
	require.Zero(t, w.value("sessions_lapsed_total"))

	bar := make(chan struct{})
	open := sync.OnceFunc(func() { close(bar) })
	defer open()
	barred.Store(&bar)
	proxy.CutAll()
	w.becomes("sessions_lapsed_total", 1)
	require.Zero(t, w.value("sessions"))
	require.EqualValues(t, 3, w.value("sessions_resumed_total"))
	require.Zero(t, w.value("sessions_not_held_total"))
	open()
	require.NoError(t, c.Close())
}

// TestQuotaRefusalsAreCounted reaches each quota once.
func TestQuotaRefusalsAreCounted(t *testing.T) {
	m := loadBasic(t)
	for kind, c := range map[string]struct {
		quota worker.Quota
		more  func(t *testing.T, client *genie.Client, s *genie.Session) error
	}{
		"sessions": {worker.Quota{Sessions: 1}, func(t *testing.T, client *genie.Client, _ *genie.Session) error {
			_, err := client.NewSession(t.Context())
			return err
		}},
		"plans": {worker.Quota{Plans: 1}, func(t *testing.T, _ *genie.Client, s *genie.Session) error {
			require.NoError(t, double(t.Context(), s, "a", 1))
			return double(t.Context(), s, "b", 1)
		}},
		"bytes": {worker.Quota{Bytes: 1 << 20}, func(t *testing.T, _ *genie.Client, s *genie.Session) error {
			require.NoError(t, double(t.Context(), s, "a", 1))
			return double(t.Context(), s, "a", 1<<20)
		}},
		"calls": {worker.Quota{Calls: 1}, func(t *testing.T, client *genie.Client, s *genie.Session) error {
			other, err := client.NewSession(t.Context())
			require.NoError(t, err)
			began, end := make(chan struct{}), make(chan struct{})
			var once sync.Once
			enough := errors.New("enough")
			done := make(chan error, 1)
			go func() {
				_, err := genie.Generate(t.Context(), s, m.LM, genie.GenerateRequest{
					Prompts: [][]int{{1}}, MaxNew: 100, IgnoreEOS: true,
					OnToken: func(int, int) error {
						once.Do(func() { close(began) })
						<-end
						return enough
					},
				})
				done <- err
			}()
			<-began
			err = double(t.Context(), other, "a", 1)
			close(end)
			require.ErrorIs(t, <-done, enough)
			return err
		}},
	} {
		t.Run(kind, func(t *testing.T) {
			w := start(t, func(o *worker.Options) { o.Quota = func(string) worker.Quota { return c.quota } })
			client, s := w.open("tcp://" + w.TCP)
			err := c.more(t, client, s)
			q, ok := errors.AsType[*transport.QuotaError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, kind, q.What)
			w.becomes("quota_refusals_total/"+kind, 1)
			for _, other := range []string{"sessions", "plans", "calls", "bytes"} {
				if other != kind {
					require.Zero(t, w.value("quota_refusals_total/"+other), other)
				}
			}
		})
	}
}

// TestOverloadsAreCounted has more clients than a small queue takes, until some
// are refused: the counter equals the refusals that clients saw.
func TestOverloadsAreCounted(t *testing.T) {
	w := start(t, func(o *worker.Options) { o.MaxQueue, o.MaxRunning = 1, 1 })
	var refused atomic.Int64
	var clients sync.WaitGroup
	for range 6 {
		_, s := w.open("tcp://" + w.TCP)
		clients.Go(func() {
			for refused.Load() == 0 {
				err := double(t.Context(), s, "a", 1<<18)
				switch {
				case errors.Is(err, transport.ErrOverloaded):
					refused.Add(1)
				case err != nil:
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	// A Prepare may find its queue full, too.
	require.Eventually(t, func() bool {
		all := values(t, w.r) // those that there were
		told := all["genie_worker_request_errors_total/overloaded/Run"] + all["genie_worker_request_errors_total/overloaded/Prepare"]
		return told == float64(refused.Load())
	}, 10*time.Second, time.Millisecond)
}

// TestBatchesAreCounted has several sessions generate at one time.
func TestBatchesAreCounted(t *testing.T) {
	m := loadBasic(t)
	w := start(t, nil)
	for w.value("batches_total") == 0 {
		var clients sync.WaitGroup
		for range 4 {
			_, s := w.open("tcp://" + w.TCP)
			clients.Go(func() {
				_, err := genie.Generate(t.Context(), s, m.LM, genie.GenerateRequest{Prompts: [][]int{{1, 2}}, MaxNew: 40, IgnoreEOS: true})
				if err != nil {
					t.Error(err)
				}
			})
		}
		clients.Wait()
		require.NoError(t, t.Context().Err())
	}
	batches, batched := w.value("batches_total"), w.value("batched_runs_total")
	require.GreaterOrEqual(t, batched, 2*batches, "a batch has two runs at least")
	require.LessOrEqual(t, batched, w.value("runs_total"))
}

// TestRefusedConnections opens more than the worker takes, at each of its ports.
func TestRefusedConnections(t *testing.T) {
	for _, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			w := start(t, func(o *worker.Options) { o.MaxConns = 1 })
			addr := map[string]string{"tcp": w.TCP, "grpc": w.GRPC}[scheme]
			w.open(scheme + "://" + addr)
			require.Zero(t, w.value("connections_refused_total"))
			var d net.Dialer
			c, err := d.DialContext(t.Context(), "tcp", addr)
			require.NoError(t, err)
			defer c.Close()
			w.becomes("connections_refused_total", 1)
		})
	}
}
