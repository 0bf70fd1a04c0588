//go:build !genie_cuda

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWorkerNeedsBuild verifies that a program without CUDA says how to build one
// that has it, by a command that the tree has.
func TestWorkerNeedsBuild(t *testing.T) {
	var said bytes.Buffer
	code := run(context.Background(), []string{"worker", "--listen", "tcp://127.0.0.1:0", "--device", "cuda:0"}, strings.NewReader(""), &said, &said)
	require.Equal(t, exitUsage, code)
	require.Contains(t, said.String(), `--device: "cuda:0" needs a genie built with the tag genie_cuda; in a checkout: deploy/release/cuda.sh --out bin`)
	info, err := os.Stat(filepath.Join("..", "..", "deploy", "release", "cuda.sh"))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&0o100, "it can be run")
}
