package studies_test

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname/benchcheck"
)

// TestBenchmarkOutput runs some of them once, as go test does, and checks that
// benchstat has a row, a column and a time for each.
func TestBenchmarkOutput(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$", "-test.benchtime=1x",
		"-test.bench=(Decode.*_Engine|DecodeBatch|TwoSessions|DecodeSessions|DecodeOverhead|Profile)$")
	cmd.Env = append(os.Environ(), "GENIE_SCALE=tiny")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	n, err := benchcheck.Check(bytes.NewReader(out))
	require.NoError(t, err, "%s", out)
	require.GreaterOrEqual(t, n, 15)
}
