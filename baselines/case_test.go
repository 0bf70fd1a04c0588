package baselines_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/baselines/systems"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
)

// skipped omits Python baselines unless GENIE_TEST_REFERENCE_SYSTEMS requests
// them.
func skipped(b baselines.Baseline) bool {
	return b.Kind == baselines.KindReferenceSystem && !systems.Tested()
}

// TestCases opens every case at the tiny scale, verifies the outputs and checks
// that the work ran in the right process.
func TestCases(t *testing.T) {
	ctx := context.Background()
	for _, name := range baselines.WorkloadNames() {
		all, err := baselines.Workloads(testdata, name, workloads.Tiny)
		require.NoError(t, err)
		for _, w := range all {
			for _, base := range append(baselines.All(), baselines.Ablations()...) {
				s := baselines.Spec{Workload: w, Baseline: base}
				if !s.Meaningful() || strings.HasSuffix(s.Label(), "-64KiB/net=loopback") || skipped(base) {
					continue // 64 KiB adds nothing to 1 KiB
				}
				t.Run(s.Label(), func(t *testing.T) {
					c, err := baselines.Open(ctx, s)
					if errors.Is(err, baselines.ErrUnavailable) {
						require.NotEqual(t, baselines.KindGenie, base.Kind, "%v", err)
						return
					}
					require.NoError(t, err)
					f, err := c.Run(ctx)
					require.NoError(t, err)
					n, err := c.Ops(ctx)
					require.NoError(t, err)
					require.Equal(t, base.Remote(), n > 0)
					require.Equal(t, base.Remote(), f.FirstMoved.SocketReceived > 0)
					require.Positive(t, f.Total)
					require.NoError(t, c.Close())
				})
			}
		}
	}
}

// TestAblations checks what each ablation saves compared with the previous one:
// the plan, then the cache and all logits, then the logits.
func TestAblations(t *testing.T) {
	ctx := context.Background()
	w, err := llm.Load(testdata, llm.Decode, workloads.Tiny)
	require.NoError(t, err)
	var ablations []transport.Snapshot
	for _, base := range baselines.Ablations() {
		c, err := baselines.Open(ctx, baselines.Spec{Workload: w, Baseline: base})
		require.NoError(t, err)
		f, err := c.Run(ctx)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		ablations = append(ablations, f.RestMoved)
	}
	sent := func(i int, c plan.Cause) int64 { return ablations[i].Sent[c] + ablations[i].Received[c] }
	require.Positive(t, sent(0, plan.CausePlan))
	require.Zero(t, sent(1, plan.CausePlan))
	require.Positive(t, sent(1, plan.CauseKV))
	require.Zero(t, sent(2, plan.CauseKV))
	require.Positive(t, sent(2, plan.CauseLogits))
	require.Zero(t, sent(3, plan.CauseLogits))
	for i := range ablations {
		require.Zero(t, sent(i, plan.CauseWeights))
	}
}

// TestCasesNotice changes one weight: every case must refuse to be timed.
func TestCasesNotice(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "llm"), os.DirFS(filepath.Join(testdata, "llm"))))
	model := filepath.Join(dir, "gpt2", "basic")
	require.NoError(t, os.MkdirAll(model, 0o750))
	for _, name := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(testdata, "gpt2", "basic", name))
		require.NoError(t, err)
		if name == "model.safetensors" {
			b[len(b)-1] ^= 0x41 // sign and exponent of the last weight of the file
		}
		require.NoError(t, os.WriteFile(filepath.Join(model, name), b, 0o600))
	}
	ctx := context.Background()
	w, err := llm.Load(dir, llm.Decode, workloads.Tiny)
	require.NoError(t, err)
	for _, base := range append(baselines.All(), baselines.Ablations()...) {
		if skipped(base) {
			continue
		}
		c, err := baselines.Open(ctx, baselines.Spec{Workload: w, Baseline: base})
		if err == nil {
			require.NoError(t, c.Close())
		}
		require.ErrorIs(t, err, workloads.ErrMismatch, base.Name)
	}
}

// TestProcess opens cases in separate processes, as a matrix does.
func TestProcess(t *testing.T) {
	n := baselines.Name{Testdata: testdata, Workload: llm.Decode, Label: llm.Decode, Scale: workloads.Tiny, Baseline: "full"}
	p, err := baselines.StartProcess(t.Context(), n)
	require.NoError(t, err)
	for range 2 {
		r, err := p.Run(20 * time.Millisecond)
		require.NoError(t, err)
		require.Positive(t, r.Runs)
		require.Positive(t, r.Mean)
		units := map[string]float64{}
		for _, m := range r.Metrics {
			units[m.Unit] = m.Value
		}
		require.Positive(t, units["tok/s"])
		require.Positive(t, units["remote-ops/op"])
		require.InDelta(t, 1, units["rtts/op"], 1e-9) // one for the whole generation
	}
	require.NoError(t, p.Close())

	n.Label = "llm-decode-b9"
	_, err = baselines.StartProcess(t.Context(), n)
	require.ErrorContains(t, err, "llm-decode-b9")
	n.Label, n.Baseline, n.Net = llm.Decode, "local-gorgonia", "lan-1g-500us"
	_, err = baselines.StartProcess(t.Context(), n)
	require.ErrorIs(t, err, baselines.ErrUnavailable)
}

// TestNames checks that each case's name begins with the Go benchmark that runs
// it, that no two cases share workload and baseline, and that each pair has its
// benchmark.
func TestNames(t *testing.T) {
	source, err := os.ReadFile("matrix_test.go")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, scale := range []workloads.Scale{workloads.Tiny, workloads.Small} {
		for _, name := range baselines.WorkloadNames() {
			all, err := baselines.Workloads(testdata, name, scale)
			require.NoError(t, err)
			for _, w := range all {
				for _, base := range append(baselines.All(), baselines.Ablations()...) {
					s := baselines.Spec{Workload: w, Baseline: base}
					if !s.Meaningful() {
						continue
					}
					function, label, _ := strings.Cut(s.Benchmark(), "/")
					require.Contains(t, string(source), "func "+function+"(b *testing.B)")
					require.Equal(t, s.Label(), label)
					pair := fmt.Sprint(scale, w.ID().Label(), base.Name)
					require.False(t, seen[pair], pair)
					seen[pair] = true
				}
			}
		}
	}
}
