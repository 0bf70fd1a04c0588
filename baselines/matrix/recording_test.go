package matrix

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the recordings that package results is tested with")

// recordings are synthetic runs of the suite; in the second one full is 20%
// slower over every link.
func recordings(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, r := range []struct {
		name, commit string
		seed         uint64
		slower       float64
	}{{"old.txt", "1111111", 1, 1}, {"new.txt", "2222222", 2, 1.2}} {
		var out bytes.Buffer
		o, err := Run(t.Context(), &out, fleet(r.seed, r.slower), Options{Count: 6, Header: fleetHeader(r.commit, "small")})
		require.NoError(t, err)
		require.Zero(t, o.Failed())
		all[r.name] = out.Bytes()
	}
	return all
}

// TestRecording compares the output with the recordings that the tests of
// package results read.
func TestRecording(t *testing.T) {
	for name, text := range recordings(t) {
		path := filepath.Join("..", "results", "testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
			require.NoError(t, os.WriteFile(path, text, 0o600))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(text), "%s; go test ./baselines/matrix -update", name)
	}
}

// TestBenchstat runs the pinned benchstat on recordings: it must compare them
// in one set of tables without any warning about names, units or invalid lines.
func TestBenchstat(t *testing.T) {
	dir := t.TempDir()
	for name, text := range recordings(t) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	benchstat := func(t *testing.T, args ...string) string {
		t.Helper()
		args = append([]string{"tool", "benchstat"}, args...)
		cmd := exec.CommandContext(t.Context(), "go", args...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		require.NoError(t, cmd.Run(), stderr.String())
		require.Empty(t, stderr.String())
		for _, warning := range []string{" vary in ", "unit", "metadata", "parsing", "missing", "need >="} {
			require.NotContains(t, stdout.String(), warning)
		}
		return stdout.String()
	}
	before, after := filepath.Join(dir, "old.txt"), filepath.Join(dir, "new.txt")
	t.Run("two files", func(t *testing.T) {
		out := benchstat(t, before, after)
		require.NotContains(t, out, "commit")
		require.Contains(t, out, "p=0.002 n=6", "full became slower")
		for heading := range strings.SplitSeq(out, "\n") {
			if strings.Contains(heading, ".txt") {
				require.Contains(t, heading, "old.txt", "the two are in different tables")
				require.Contains(t, heading, "new.txt", "the two are in different tables")
			}
		}
	})
	t.Run("workload by baseline", func(t *testing.T) {
		out := benchstat(t, "-row", "/workload", "-col", "/baseline", after)
		require.Contains(t, out, "net: lan-1g-500us")
		require.Contains(t, out, "ablation: weights+plan")
		require.Regexp(t, `local-pytorch.*capture-only.*full`, out)
	})
}

// TestBenchstatWouldWarn shows that the test above can fail: without the
// configuration lines, figures of different batches share one case.
func TestBenchstatWouldWarn(t *testing.T) {
	var kept []string
	for line := range strings.SplitSeq(string(recordings(t)["new.txt"]), "\n") {
		if !strings.HasPrefix(line, "batch:") {
			kept = append(kept, line)
		}
	}
	path := filepath.Join(t.TempDir(), "new.txt")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(kept, "\n")), 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "tool", "benchstat", "-row", "/workload", "-col", "/baseline", path).Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "benchmarks vary in .fullname")
}
