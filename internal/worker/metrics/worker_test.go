package metrics_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/measure"
	"github.com/genie-sdk/go/internal/worker/metrics"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/gpt2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// values are samples by name and label values; of a histogram the count.
func values(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := []string{f.GetName()}
			for _, l := range m.GetLabel() {
				name = append(name, l.GetValue())
			}
			out[strings.Join(name, "/")] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

// TestWorker generates text on a real worker, twice, and holds the metrics
// against what the clients know.
func TestWorker(t *testing.T) {
	ctx := t.Context()
	w := workertest.Start(t, nil)
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(metrics.New(w.Server, "v1")))
	m, err := gpt2.Load(ctx, filepath.Join("..", "..", "..", "testdata", "gpt2", "basic"), gpt2.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	const tokens = 12
	received := map[string]int64{}
	sent := map[string]int64{}
	for _, url := range []string{"tcp://" + w.TCP, "grpc://" + w.GRPC} {
		c, err := genie.Open(ctx, url, genie.WithPolicy(measure.InTurn(semantic.Full()))) // runs and loops both
		require.NoError(t, err)
		defer c.Close()
		s, err := c.NewSession(ctx)
		require.NoError(t, err)
		defer s.Close()
		_, err = genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: [][]int{{1, 2}, {3, 4}}, MaxNew: tokens, IgnoreEOS: true})
		require.NoError(t, err)
		l := c.Ledger()
		for cause := range plan.NumCauses {
			received[plan.Cause(cause).String()] += l.Sent[cause]
			sent[plan.Cause(cause).String()] += l.Received[cause]
		}
	}
	const p = "genie_worker_"
	wanted := map[string]float64{
		"connections": 2, "connections_total": 2, "sessions": 2, "sessions_total": 2, "ready": 1,
		"requests_total/Run": 2, "requests_total/Loop": 2, "requests_total/OpenSession": 2, "request_duration_seconds/Run": 2,
		"run_duration_seconds/call": 2, "run_duration_seconds/loop": 2 * (tokens - 1),
		"loop_runs_total": 2 * (tokens - 1), "tokens_total": 4 * (tokens - 1), "runs_total": 2 * tokens,
		"plans": 2, "plans_received_total": 2, "plan_lookups_total/hit": 2, "plan_lookups_total/miss": 2,
		"queue_length": 0, "requests_running": 0, "panics_total": 0, "info/" + w.Engine.Stats().CPU + "/v1": 1,
		"memory_bytes/weights": float64(w.Engine.Stats().WeightBytes), "memory_bytes/state": float64(w.Engine.Stats().StateBytes),
		"weight_lookups_total/folder": 0,
	}
	var got map[string]float64
	require.EventuallyWithT(t, func(c *assert.CollectT) { // requests are counted after their replies
		got = values(t, r)
		for name, want := range wanted {
			assert.InDelta(c, want, got[p+name], 0, name)
		}
	}, 10*time.Second, time.Millisecond)
	require.Positive(t, got[p+"memory_bytes/state"])
	require.Positive(t, got[p+"weight_lookups_total/hit"])
	require.Equal(t, got[p+"weights_received_total"], got[p+"weight_lookups_total/miss"])
	require.Eventually(t, func() bool {
		got = values(t, r)
		for cause := range received {
			if got[p+"wire_bytes_total/"+cause+"/received"] != float64(received[cause]) ||
				got[p+"wire_bytes_total/"+cause+"/sent"] != float64(sent[cause]) {
				return false
			}
		}
		return true
	}, 5*time.Second, time.Millisecond, "clients sent %v and received %v", received, sent)
	require.NoError(t, w.Server.Close())
	got = values(t, r)
	require.Zero(t, got[p+"ready"])
	require.Zero(t, got[p+"connections"])
}
