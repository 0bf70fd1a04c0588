package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines/matrix"
	"github.com/genie-sdk/go/baselines/results"
	"github.com/genie-sdk/go/baselines/results/report"
)

const (
	oldResults = "../../baselines/results/testdata/old.txt"
	newResults = "../../baselines/results/testdata/new.txt"
)

func TestBenchReport(t *testing.T) {
	r := cli(t, "bench", "report", oldResults, newResults)
	require.Zero(t, r.code, r.stderr)
	for _, want := range []string{"llm-decode over loopback", "× capture-only", "-17.3%", "no Python environment: run genie bench setup", "rank correlation"} {
		require.Contains(t, r.stdout, want)
	}
	one := decode[report.Report](t, "bench", "report", newResults, "--json")
	require.Nil(t, one.Old)
	require.Len(t, one.Sections, 4)

	out := filepath.Join(t.TempDir(), "page.html")
	r = cli(t, "bench", "report", newResults, "--out", out)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "71 cases, 4 of them missing or failed")
	page, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Contains(t, string(page), "</html>")
}

func TestBenchGate(t *testing.T) {
	closed := cli(t, "bench", "gate", oldResults, newResults)
	require.Equal(t, 1, closed.code)
	require.Contains(t, closed.stdout, "regression   workload=llm-decode/baseline=full/model=gpt2/batch=1/net=loopback  tok/s  59.85 became 49.48 (-17.3%, p=0.002)")
	require.Contains(t, closed.stderr, "the gate is closed: 20 findings")

	for _, limit := range []string{"30%", "0.3"} {
		r := cli(t, "bench", "gate", oldResults, newResults, "--max-regress", limit)
		require.Zero(t, r.code, r.stderr)
		require.Contains(t, r.stdout, "nothing")
	}
	v := decode[results.Verdict](t, "bench", "gate", newResults, newResults, "--json")
	require.True(t, v.OK)
	require.Positive(t, v.Compared)
	r := cli(t, "bench", "gate", oldResults, newResults, "--json")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stdout, `"ok": false`)
}

func TestBenchMistakes(t *testing.T) {
	letter := filepath.Join(t.TempDir(), "letter.txt")
	require.NoError(t, os.WriteFile(letter, []byte("Dear Sir,\n"), 0o600))
	for _, tt := range []struct {
		code int
		args []string
	}{
		{2, []string{"gate", oldResults}},
		{2, []string{"gate", oldResults, "nowhere.txt"}},
		{2, []string{"gate", oldResults, newResults, "--max-regress", "much"}},
		{2, []string{"gate", oldResults, newResults, "--max-regress", "-5%"}},
		{1, []string{"gate", oldResults, letter}},
		{2, []string{"report"}},
		{2, []string{"report", oldResults, newResults, newResults}},
		{1, []string{"report", letter}},
		{1, []string{"report", newResults, "--out", filepath.Join(t.TempDir(), "no", "such", "folder.html")}},
		{2, []string{"run", "--scale", "huge"}},
		{2, []string{"run", "--count", "0"}},
		{2, []string{"run", "--alive", "-1"}},
		{2, []string{"run", "--match", "("}},
		{2, []string{"run", "--scale", "tiny", "--match", "nothing is called so"}},
		{2, []string{"run", "--resume"}},
		{2, []string{"run", "--json"}},
		{2, []string{"run", "all"}},
		{2, []string{"run", "--checkpoint", "austen"}},
		{2, []string{"run", "--checkpoint", "llama=" + austen}},
		{2, []string{"run", "--checkpoint", "gpt2=" + austen, "--scale", "tiny"}},
		{1, []string{"run", "--checkpoint", "resnet=" + austen}},
		{2, []string{"reference"}},
		{2, []string{"reference", "--checkpoint", "gpt2"}},
		{1, []string{"reference", "--checkpoint", "gpt2=" + filepath.Join(t.TempDir(), "nowhere")}},
		{2, []string{"rnu"}},
	} {
		r := cli(t, append([]string{"bench"}, tt.args...)...)
		require.Equal(t, tt.code, r.code, "%v: %s%s", tt.args, r.stdout, r.stderr)
		require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
	}
}

// counter is a case that counts.
type counter struct {
	name   string
	fails  error
	during func()
	open   bool
}

func (c *counter) Name() string { return c.name }

func (c *counter) Open(context.Context) error {
	c.open = true
	return nil
}

func (c *counter) Run(context.Context) (map[string]float64, int, error) {
	if c.during != nil {
		c.during()
	}
	return map[string]float64{"tok/s": 5, "ns/op": 2e8}, 1, c.fails
}

func (c *counter) Close() error {
	c.open = false
	return nil
}

func counters(names ...string) []*counter {
	var all []*counter
	for _, n := range names {
		all = append(all, &counter{name: "BenchmarkX/workload=w/baseline=" + n + "/net=loopback"})
	}
	return all
}

// choosing passes cases to bench run, and checks the request.
func choosing(t *testing.T, cs []*counter) func(context.Context, selection) ([][]matrix.Case, error) {
	t.Helper()
	return func(_ context.Context, s selection) ([][]matrix.Case, error) {
		require.Equal(t, selection{Scale: "tiny", Nets: []string{"loopback"}}, s)
		var g []matrix.Case
		for _, c := range cs {
			g = append(g, c)
		}
		return [][]matrix.Case{g}, nil
	}
}

func TestBenchRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	a := &app{stdout: &stdout, stderr: &stderr}
	path := filepath.Join(t.TempDir(), "out.txt")
	o := benchRunOptions{selection: selection{Scale: "tiny", Nets: []string{"loopback"}}, count: 4, out: path}
	cs := counters("a", "b")

	// Interrupted in the middle of the second round.
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	runs := 0
	cs[0].during = func() {
		if runs++; runs == 2 {
			cancel(stopped)
		}
	}
	require.ErrorIs(t, a.benchRun(ctx, o, choosing(t, cs)), stopped)
	require.False(t, cs[0].open || cs[1].open)
	require.Error(t, a.benchRun(t.Context(), o, choosing(t, cs)), "the file is there")

	o.resume = true
	require.NoError(t, a.benchRun(t.Context(), o, choosing(t, cs)))
	require.Empty(t, stdout.String())
	require.Contains(t, stderr.String(), "of 8 results")
	require.Contains(t, stderr.String(), "results recorded")
	f, err := results.Open(path)
	require.NoError(t, err)
	require.Empty(t, f.Warnings)
	for _, c := range f.Cases {
		require.Equal(t, 4, c.Runs)
	}
	for _, key := range []string{"commit", "dirty", "go", "cpu", "cores", "gomaxprocs", "scale", "date", "net", "kernels"} {
		require.NotEmpty(t, f.Setting(key), key)
	}

	o.Scale, o.resume = "full", true
	err = a.benchRun(t.Context(), o, func(context.Context, selection) ([][]matrix.Case, error) { return nil, nil })
	require.ErrorIs(t, err, matrix.ErrOtherRun)
}

// TestBenchRunFails: a case that fails is reported, the others are measured,
// and the command fails at the end.
func TestBenchRunFails(t *testing.T) {
	var stdout, stderr bytes.Buffer
	a := &app{stdout: &stdout, stderr: &stderr}
	cs := counters("a", "b")
	cs[0].fails = errors.New("worker died")
	o := benchRunOptions{selection: selection{Scale: "tiny", Nets: []string{"loopback"}}, count: 3}
	err := a.benchRun(t.Context(), o, choosing(t, cs))
	require.EqualError(t, err, "1 of the cases failed")
	require.Contains(t, stderr.String(), "FAILED workload=w/baseline=a/net=loopback: worker died")
	f, err := results.Read(&stdout, "stdout")
	require.NoError(t, err)
	require.Equal(t, 3, f.Find(results.ParseName(cs[1].name)).Runs)
	require.Len(t, f.Absent, 1)

	stdout.Reset()
	o.out, o.json = filepath.Join(t.TempDir(), "out.txt"), true
	require.Error(t, a.benchRun(t.Context(), o, choosing(t, cs)))
	require.Contains(t, stdout.String(), `"failed": 1`)
}

func TestBenchRunMatch(t *testing.T) {
	var stdout, stderr bytes.Buffer
	a := &app{stdout: &stdout, stderr: &stderr}
	cs := counters("a", "b", "c")
	o := benchRunOptions{selection: selection{Scale: "tiny", Nets: []string{"loopback"}}, count: 2, match: "baseline=[bc]"}
	require.NoError(t, a.benchRun(t.Context(), o, choosing(t, cs)))
	f, err := results.Read(&stdout, "stdout")
	require.NoError(t, err)
	require.Len(t, f.Cases, 2)
	require.Nil(t, f.Find(results.ParseName(cs[0].name)))
	require.Equal(t, 2, f.Find(results.ParseName(cs[2].name)).Runs)
}

// TestBenchCheckpoint measures a checkpoint with a stored reference; without
// one the error names the command that computes it.
func TestBenchCheckpoint(t *testing.T) {
	t.Setenv("GENIE_PYTHON", "")
	t.Setenv("GENIE_REFERENCE_SYSTEMS", t.TempDir())
	t.Setenv("GENIE_REFERENCES", "../../testdata/references")
	named := "gpt2=" + austen + ",easy-vqa=../../testdata/models/easy-vqa"
	kept := decode[struct{ References []keptReference }](t, "bench", "reference", "--checkpoint", named, "--json")
	require.Len(t, kept.References, 2)
	require.Equal(t, "5.23.0", kept.References[0].Versions["transformers"])

	out := filepath.Join(t.TempDir(), "out.txt")
	r := cli(t, "bench", "run", "--checkpoint", named, "--baseline", "capture-only", "--workload", "llm-prefill,multimodal-vqa", "--count", "1", "--out", out)
	require.Zero(t, r.code, r.stderr)
	f, err := results.Open(out)
	require.NoError(t, err)
	require.Len(t, f.Cases, 2)
	require.Equal(t, "checkpoint", f.Setting("scale"))
	for i, c := range f.Cases {
		k := kept.References[i]
		require.Equal(t, k.Label(), c.Part("model"))
		require.Equal(t, k.Family+" sha256:"+k.Hash, f.Setting("checkpoint/"+k.Label()))
	}
	require.Equal(t, "llm-prefill", f.Cases[0].Workload)

	t.Setenv("GENIE_REFERENCES", t.TempDir())
	for _, command := range []string{"run", "reference"} {
		r := cli(t, "bench", command, "--checkpoint", "gpt2="+austen)
		require.Equal(t, 1, r.code)
		require.Contains(t, r.stderr, "genie bench setup")
		require.Contains(t, r.stderr, "genie bench reference --checkpoint gpt2=")
	}
}

func TestBenchRunWithoutCases(t *testing.T) {
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	path := filepath.Join(t.TempDir(), "out.txt")
	err := a.benchRun(t.Context(), benchRunOptions{count: 1, out: path}, func(context.Context, selection) ([][]matrix.Case, error) { return nil, errNoCases })
	require.ErrorIs(t, err, errNoCases)
	require.NoFileExists(t, path)
}

func TestBenchProgressText(t *testing.T) {
	require.Equal(t, "3 of 8 results, 12s so far, about 20s left; opening workload=w/baseline=a", progressText(matrix.Progress{
		Doing: "BenchmarkX/workload=w/baseline=a", Opening: true, Done: 3, Total: 8, Elapsed: 12 * time.Second, Left: 20 * time.Second,
	}))
	require.Equal(t, "8 of 8 results, 40s so far", progressText(matrix.Progress{Done: 8, Total: 8, Elapsed: 40 * time.Second}))
	var out bytes.Buffer
	p := (&app{stderr: &out}).benchProgress()
	for i := range 101 {
		p.report(matrix.Progress{Doing: "B/x", Done: i, Total: 100})
	}
	require.Equal(t, 21, strings.Count(out.String(), "\n"), "a line for each twentieth")
}
