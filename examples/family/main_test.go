package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call runs the program and returns its output.
func call(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var out, errs bytes.Buffer
	require.Equal(t, want, run(t.Context(), args, &out, &errs), "%v\n%s", args, &errs)
	return out.String(), errs.String()
}

// TestRuns runs it in this process and on a worker, over both transports: the same
// tokens everywhere, and logits that are those of plain Go.
func TestRuns(t *testing.T) {
	w := workertest.Start(t, nil)
	here, errs := call(t, 0, "-new", "30")
	require.Empty(t, errs)
	require.Contains(t, here, "from plain Go")
	tokens, _, _ := strings.Cut(here, "\n")
	for _, executor := range []string{"tcp://" + w.TCP, "grpc://" + w.GRPC} {
		before := w.Engine.Stats().Ops
		there, _ := call(t, 0, "-new", "30", "-executor", executor)
		require.Contains(t, there, tokens+"\n")
		require.Greater(t, w.Engine.Stats().Ops, before)
	}
	other, _ := call(t, 0, "-new", "30", "-seed", "2")
	require.NotContains(t, other, tokens)
}

// TestUnderstood: the program's caches are found, and its decode is one.
func TestUnderstood(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, writeRandom(t.Context(), dir, 1))
	m, err := load(t.Context(), dir, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, m.close()) }()
	srg, err := semantic.Analyze(m.lm.Graph)
	require.NoError(t, err)
	require.Len(t, srg.Caches, 4)
	profile, err := srg.ProfileOf(map[string]int{"batch": 1, "seq": 1, "past": 5})
	require.NoError(t, err)
	require.Equal(t, semantic.PhaseDecode, profile.Phase)
}

// TestDisagreement checks that the check can fail: the plain network gets another
// weight.
func TestDisagreement(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, writeRandom(t.Context(), dir, 1))
	m, err := load(t.Context(), dir, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, m.close()) }()
	p, err := readPlain(m.files, m.config)
	require.NoError(t, err)
	before := p.step(3)
	q, err := readPlain(m.files, m.config)
	require.NoError(t, err)
	q.weights["model.layers.1.mlp.up_proj.weight"][5]++
	most := 0.0
	for i, v := range q.step(3) {
		most = max(most, v-before[i], before[i]-v)
	}
	require.Greater(t, most, 100*tolerance)
}

func TestFailures(t *testing.T) {
	changed := func(change func(config map[string]any)) string {
		dir := t.TempDir()
		require.NoError(t, writeRandom(t.Context(), dir, 1))
		file := filepath.Join(dir, "config.json")
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var c map[string]any
		require.NoError(t, json.Unmarshal(text, &c))
		change(c)
		text, err = json.Marshal(c)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, text, 0o600))
		return dir
	}
	for _, tt := range []struct {
		name string
		code int
		args []string
		says string
	}{
		{"no worker", 1, []string{"-executor", "tcp://127.0.0.1:1"}, "unreachable"},
		{"no model", 1, []string{"-model", t.TempDir()}, "config.json"},
		{"another family", 1, []string{"-model", changed(func(c map[string]any) { c["model_type"] = "mamba" })}, "mamba"},
		{"other heads", 1, []string{"-model", changed(func(c map[string]any) { c["num_key_value_heads"] = 3 })}, "heads"},
		{"too large", 1, []string{"-model", changed(func(c map[string]any) { c["hidden_size"] = 1 << 40 })}, "hidden_size"},
		{"a missing layer", 1, []string{"-model", changed(func(c map[string]any) { c["num_hidden_layers"] = 3 })}, "layers.2.input_layernorm.weight"},
		{"another shape", 1, []string{"-model", changed(func(c map[string]any) { c["intermediate_size"] = 161 })}, "mlp.gate_proj.weight"},
		{"what is not computed", 1, []string{"-model", changed(func(c map[string]any) { c["rope_scaling"] = map[string]any{"factor": 2} })}, "rope_scaling"},
		{"a token", 1, []string{"-tokens", "4000"}, "4000"},
		{"no tokens", 2, []string{"-tokens", "a"}, "-tokens"},
		{"unknown flag", 2, []string{"-nothing"}, "-nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, errs := call(t, tt.code, tt.args...)
			require.Contains(t, errs, tt.says)
			require.Empty(t, out)
		})
	}
	call(t, 0, "-help")
	_, err := parseConfig([]byte(`{"model_type": "bert"}`))
	require.ErrorIs(t, err, errConfig)
	require.ErrorIs(t, err, checkpoint.ErrFamily)
}
