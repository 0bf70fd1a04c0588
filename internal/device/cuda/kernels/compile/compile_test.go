//go:build genie_cuda

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/kernels/ptxas"
)

// TestMain is also the process that compiles a file.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ptxCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestRun compiles a small kernel, and finds each way in which a tree differs from
// what its sources compile to.
func TestRun(t *testing.T) {
	if os.Getenv("GENIE_CUDA_TOOLCHAIN") == "" {
		t.Skip("needs NVRTC and ptxas: internal/device/cuda/toolchain.sh go test -tags genie_cuda ./internal/device/cuda/kernels/compile")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	check, generate, bounds := options{dir: dir, check: true}, options{dir: dir}, options{dir: dir, bounds: true}
	const source = "#include \"two.cuh\"\nextern \"C\" __global__ void store(float *x) { x[threadIdx.x] = TWO; }\n"
	write("two.cuh", "#define TWO 2\n")
	write("store.cu", source)

	require.ErrorIs(t, run(generate, nil), ptxas.ErrBounds, "a kernel without a bound")
	require.NoError(t, run(bounds, nil))
	require.NoError(t, run(check, nil))
	require.NoError(t, run(generate, nil))

	ptx, cubin := filepath.Join("generated", "sm_80", "store.ptx"), filepath.Join("generated", "sm_90", "store.cubin")
	write("two.cuh", "#define TWO 3\n")
	err := run(check, nil)
	require.ErrorContains(t, err, ptx+" is not what its source compiles to")
	require.ErrorContains(t, err, cubin+" is not what its source compiles to")
	require.NoError(t, run(generate, nil))
	require.NoError(t, run(check, nil))

	require.NoError(t, os.Remove(filepath.Join(dir, cubin)))
	require.ErrorContains(t, run(check, nil), cubin+" is missing")
	require.NoError(t, run(generate, nil))

	old := filepath.Join("generated", "sm_80", "old.ptx")
	write(old, "")
	require.ErrorContains(t, run(check, nil), old+" has no source")
	require.NoError(t, run(generate, nil))
	require.NoFileExists(t, filepath.Join(dir, old))

	write("store.cu", source+"extern \"C\" __global__ void late(float *x) { x[0] = 1; }\n")
	require.ErrorContains(t, run(generate, nil), "late for sm_90 has no bound")
	write("store.cu", source+"nonsense\n")
	require.ErrorContains(t, run(check, nil), "store.cu(3): error")
	require.Error(t, run(check, []string{"more"}))
	require.Error(t, run(options{dir: dir, check: true, bounds: true}, nil))
	require.ErrorContains(t, run(options{dir: t.TempDir()}, nil), "has no kernels")
}
