package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/fleet/simulation"
)

const sharedPrefixes = "../../testdata/scenarios/shared-prefixes.json"

func TestFleetSimulate(t *testing.T) {
	args := []string{"fleet", "simulate", "--scenario", sharedPrefixes, "--router", "meaning,random"}
	r := decode[simulation.Result](t, append(args, "--json")...)
	require.Equal(t, "shared-prefixes", r.Scenario)
	require.Len(t, r.Routers, 2)
	meaning, random := r.Routers[0], r.Routers[1]
	require.Equal(t, "meaning", meaning.Router)
	require.Equal(t, "random", random.Router)
	for _, x := range r.Routers {
		require.Equal(t, int64(1000), x.Done)
		require.Zero(t, x.Failed)
	}
	require.Greater(t, meaning.HitRate, 2*random.HitRate)
	require.Greater(t, meaning.Tokens, 1.5*random.Tokens)
	page := filepath.Join(t.TempDir(), "page.html")
	half := decode[simulation.Result](t, append(args, "--json", "--pace", "0.5", "--parallel", "2", "--page", page)...)
	require.Equal(t, int64(500), half.Routers[0].Done)
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(html), "shared-prefixes")

	table := cli(t, args...)
	require.Zero(t, table.code, table.stderr)
	for _, want := range []string{"shared-prefixes: 8 workers, 1000 sessions", "not measured", "tokens/s", "first token p50", "p99", "moved", "hit rate", "fairness", "failed", "resumed", "\nmeaning ", "\nrandom "} {
		require.Contains(t, table.stdout, want)
	}
	require.NotContains(t, table.stdout, "highest pace")
}

func TestFleetSimulateLooksForTheHighestPace(t *testing.T) {
	b, err := os.ReadFile(sharedPrefixes)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "target.json")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(b), `"seed": 1`, `"seed": 1, "target_p99_seconds": 2`, 1)), 0o600))
	r := cli(t, "fleet", "simulate", "--scenario", file, "--router", "meaning", "--search")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "highest pace")
}

func TestFleetSimulateRefuses(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "wrong.json")
	require.NoError(t, os.WriteFile(wrong, []byte(`{"name": "wrong", "workers": -1}`), 0o600))
	for _, args := range [][]string{
		{},
		{"--scenario", sharedPrefixes, "more"},
		{"--scenario", sharedPrefixes, "--router", "best"},
		{"--scenario", sharedPrefixes, "--pace", "0"},
		{"--scenario", sharedPrefixes, "--pace", "NaN"},
		{"--scenario", sharedPrefixes, "--parallel", "0"},
		{"--scenario", sharedPrefixes, "--search"},
	} {
		require.Equal(t, exitUsage, cli(t, append([]string{"fleet", "simulate"}, args...)...).code, args)
	}
	for file, want := range map[string]string{"missing.json": "missing.json", wrong: "scenario: json: cannot unmarshal", t.TempDir(): "scenario"} {
		r := cli(t, "fleet", "simulate", "--scenario", file, "--json")
		require.Equal(t, exitFailure, r.code, file)
		var report failureReport
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &report), r.stdout)
		require.Contains(t, report.Error.Message, want)
	}
}

func TestFleetSimulateEndsWithASignal(t *testing.T) {
	signalled, end := context.WithCancelCause(t.Context())
	end(&signalError{os.Interrupt})
	r := inProcess(signalled, strings.NewReader(""), "fleet", "simulate", "--scenario", "../../testdata/scenarios/chat.json", "--json")
	require.Equal(t, 130, r.code, r.stderr)
	require.Contains(t, r.stdout, `"interrupted": true`)
}
