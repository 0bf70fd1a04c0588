package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStampedVersion verifies that the names which the release script passes to
// the linker exist in this program: the linker does not report an unknown name.
func TestStampedVersion(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "genie")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "-ldflags",
		"-X main.stampedVersion=v1.2.3-test -X main.stampedRevision=0123456789abcdef", ".")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	said, err := exec.CommandContext(t.Context(), binary, "version").CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Regexp(t, `^genie v1\.2\.3-test, wire \d+, plan \d+, go`, string(said))
	json, err := exec.CommandContext(t.Context(), binary, "version", "--json").CombinedOutput()
	require.NoError(t, err, "%s", json)
	require.Contains(t, string(json), `"revision": "0123456789abcdef"`)
}
