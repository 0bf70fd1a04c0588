package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchSetupRefuses(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("GENIE_PEER_CACHE", cache)
	t.Setenv("PATH", cache) // no interpreter
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"--skip", "torch"}, exitUsage, `--skip is "torch", not one of onnxruntime, ray, llama`},
		{[]string{"--skip", "nothing"}, exitUsage, `--skip is "nothing"`},
		{[]string{"now"}, exitUsage, "takes no argument"},
		{nil, exitFailure, "no Python 3.11, 3.12, 3.13"},
		{[]string{"--python", "python-that-is-not-there"}, exitFailure, "python-that-is-not-there"},
	} {
		r := inProcess(t.Context(), strings.NewReader(""), append([]string{"bench", "setup"}, c.args...)...)
		require.Equal(t, c.code, r.code, r.stderr)
		require.Contains(t, r.stderr, c.text)
		require.Empty(t, r.stdout)
	}
}
