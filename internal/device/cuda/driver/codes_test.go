package driver

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNewError(t *testing.T) {
	err := NewError("cuMemAlloc", CodeOutOfMemory, "out of memory")
	require.EqualError(t, err, "genie: CUDA: cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2): out of memory")
	require.ErrorIs(t, err, ErrOutOfMemory)
	require.False(t, IsSticky(err))
	require.ErrorContains(t, NewError("cuX", 12345, ""), "cuX: CUresult 12345 (12345)")
	require.NotErrorIs(t, NewError("cuX", CodeInvalidValue, ""), ErrOutOfMemory)

	for _, code := range []int{700, 702, 714, 715, 716, 717, 718, 719, 999, CodeContextIsDestroyed} {
		require.True(t, IsSticky(fmt.Errorf("run: %w", NewError("cuStreamSynchronize", code, ""))), code)
	}
	// A refused launch or allocation, and a device that another process has, leave
	// the context as it was.
	for _, code := range []int{CodeInvalidValue, CodeOutOfMemory, 46, 100, 200, 209, 218, 500, 701, 720} {
		require.False(t, IsSticky(NewError("cuLaunchKernel", code, "")), code)
	}
}

// TestCodesOfHeader compares the names with those in cuda.h, and what is sticky with
// what it says about each code.
func TestCodesOfHeader(t *testing.T) {
	dir := os.Getenv("GENIE_CUDA_TOOLCHAIN")
	if dir == "" {
		t.Skip("needs cuda.h: internal/device/cuda/toolchain.sh go test ./internal/device/cuda/driver")
	}
	text, err := os.ReadFile(filepath.Join(dir, "include", "cuda.h"))
	require.NoError(t, err)
	entry := regexp.MustCompile(`(?s)/\*\*(.*?)\*/\s*(CUDA_(?:SUCCESS|ERROR_\w+))\s*=\s*(\d+)`)
	gone := regexp.MustCompile(`process\s+\*?\s*must\s+\*?\s*be\s+\*?\s*terminated|must\s+\*?\s*be\s+\*?\s*destroyed`)
	found := entry.FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(found), 90)
	require.Len(t, codeNames, len(found))
	for _, m := range found {
		code, err := strconv.Atoi(m[3])
		require.NoError(t, err)
		require.Equal(t, m[2], codeName(code))
		if gone.MatchString(m[1]) {
			require.True(t, sticky(code), "%s: %s", m[2], m[1])
		}
	}
}
