package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/fleet/simulation"
)

func TestFleetSimulate(t *testing.T) {
	const scenario = "../../testdata/scenarios/faults.json"
	page := filepath.Join(t.TempDir(), "page.html")
	args := []string{"fleet", "simulate", "--scenario", scenario, "--router", "meaning,random", "--page", page}
	r := decode[simulation.Result](t, append(args, "--json")...)
	require.Len(t, r.Routers, 2)
	require.Equal(t, "meaning", r.Routers[0].Router)
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(html), "faults")
	text := cli(t, args...)
	require.Zero(t, text.code, text.stderr)
	for _, want := range []string{"router", "meaning", "random", "hit rate", "p99"} {
		require.Contains(t, text.stdout, want)
	}
	for _, bad := range [][]string{{}, {"--scenario", scenario, "--pace", "0"}, {"--scenario", scenario, "--search"}, {"--scenario", scenario, "--parallel", "0"}} {
		r := cli(t, append([]string{"fleet", "simulate"}, bad...)...)
		require.Equal(t, 2, r.code, "%v: %s", bad, r.stderr)
	}
	none := cli(t, "fleet", "simulate", "--scenario", "no-such-file.json")
	require.Equal(t, 1, none.code)
}
