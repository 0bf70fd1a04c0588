package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// said runs a command and returns its exit code and what it printed.
func said(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

func TestPlacementFlags(t *testing.T) {
	clip, gpt2 := "../../testdata/clip/plain", "../../testdata/gpt2/basic"
	code, out := said(t, "explain", "--model", clip, "--hashes", "off", "--placement", "pipeline", "--devices", "3", "--link-rate", "1e9", "--link-delay", "0s")
	require.Zero(t, code, out)
	require.Contains(t, out, "placement pipeline over 3 devices")
	require.Contains(t, out, "stage 2 of")
	code, out = said(t, "explain", "--model", clip, "--hashes", "off", "--placement", "pipeline", "--format", "dot")
	require.Zero(t, code, out)
	require.Contains(t, out, "subgraph cluster_devices")
	for _, args := range [][]string{
		{"explain", "--model", clip, "--hashes", "off", "--placement", "nearest"},
		{"explain", "--model", clip, "--hashes", "off", "--placement", "pipeline", "--devices", "0"},
		{"explain", "--model", clip, "--hashes", "off", "--placement", "pipeline", "--link-rate", "0"},
		{"generate", "--model", gpt2, "--tokens", "1,2", "--placement", "nearest"},
	} {
		code, out = said(t, args...)
		require.Equal(t, 2, code, out)
	}
	code, out = said(t, "explain", "--model", clip, "--hashes", "off", "--placement", "single", "--device-memory", "1KiB")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "no device has the memory")

	code, want := said(t, "generate", "--model", gpt2, "--hashes", "off", "--tokens", "1,2,3", "--max-new", "6", "--ignore-eos", "--greedy")
	require.Zero(t, code, want)
	code, out = said(t, "generate", "--model", gpt2, "--hashes", "off", "--tokens", "1,2,3", "--max-new", "6", "--ignore-eos", "--greedy", "--executor", "local:,local:", "--placement", "pipeline")
	require.Zero(t, code, out)
	require.Equal(t, tokensOf(want), tokensOf(out))
}

// tokensOf is the first line of a generation: its tokens.
func tokensOf(out string) string { return strings.SplitN(out, "\n", 2)[0] }
