package metrics_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker/meter"
	"github.com/genie-sdk/go/internal/worker/metrics"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

var update = flag.Bool("update", false, "write the golden")

// busy is a worker that has counted something of everything.
type busy struct{ m meter.Meter }

func (b *busy) Meter() *meter.Meter { return &b.m }
func (b *busy) Staged() int64       { return 4 }
func (b *busy) Detached() int       { return 5 }
func (b *busy) Ready() bool         { return true }
func (b *busy) Stats() transport.Stats {
	return transport.Stats{
		CPU: "generic", WeightBytes: 1, StateBytes: 2, ScratchBytes: 3, References: 6, ReferenceTime: 2500 * time.Millisecond,
	}
}

func newBusy() *busy {
	b := &busy{}
	b.m.Request(wire.TypeRun, time.Millisecond, transport.ErrShape)
	b.m.Request(wire.Type(99), time.Millisecond, transport.ErrProtocol)
	b.m.QueueWait.Observe(time.Millisecond)
	b.m.Run.Observe(time.Millisecond)
	return b
}

func gather(t *testing.T, source metrics.Source) []*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(metrics.New(source, "v1")))
	families, err := r.Gather()
	require.NoError(t, err)
	return families
}

// TestNames holds the names, types, labels and help of all metrics: dashboards
// and alerts are written against them.
func TestNames(t *testing.T) {
	var b strings.Builder
	for _, f := range gather(t, newBusy()) {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		fmt.Fprintf(&b, "%s %s {%s}\n\t%s\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ","), f.GetHelp())
	}
	golden := filepath.Join("testdata", "names.txt")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// TestReferences: what references of operators took, in seconds.
func TestReferences(t *testing.T) {
	got := map[string]float64{}
	for _, f := range gather(t, newBusy()) {
		got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue()
	}
	require.InDelta(t, 2.5, got["genie_reference_kernel_seconds_total"], 0)
	require.InDelta(t, 6, got["genie_reference_kernels_total"], 0)
}

// TestConventions runs Prometheus' own linter.
func TestConventions(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(metrics.New(newBusy(), "v1")))
	problems, err := testutil.GatherAndLint(r)
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestDocumented verifies that docs/operations.md has every metric, and no
// other.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "operations.md"))
	require.NoError(t, err)
	var documented, there []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(genie_[a-z_]+)` \\| ([a-z]+) \\| ([^|]*)\\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, m[1]+" "+m[2]+" "+strings.TrimSpace(m[3]))
	}
	for _, f := range gather(t, newBusy()) {
		labels := "none"
		var names []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			names = append(names, "`"+l.GetName()+"`")
		}
		if len(names) > 0 {
			labels = strings.Join(names, ", ")
		}
		there = append(there, f.GetName()+" "+strings.ToLower(f.GetType().String())+" "+labels)
	}
	slices.Sort(documented)
	slices.Sort(there)
	require.Equal(t, there, documented)
}

func TestUnknownCodesAndTypesHaveLabels(t *testing.T) {
	got := map[string]float64{}
	for _, f := range gather(t, newBusy()) {
		if f.GetName() != "genie_worker_request_errors_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[strings.Join(labels, "/")] = m.GetCounter().GetValue()
		}
	}
	require.Equal(t, map[string]float64{"shape mismatch/Run": 1, "protocol violation/unknown": 1}, got)
}
