package kernels

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForcedPath(t *testing.T) {
	path, err := choosePath("")
	require.NoError(t, err)
	require.Equal(t, bestPath(), path)
	path, err = choosePath("generic")
	require.NoError(t, err)
	require.Equal(t, pathGeneric, path)
	path, err = choosePath("sse9")
	require.ErrorContains(t, err, `unknown GENIE_CPU="sse9"`)
	require.Equal(t, bestPath(), path)
	path, err = choosePath("avx512")
	require.Equal(t, bestPath(), path)
	if bestPath() < pathAVX512 {
		require.ErrorContains(t, err, "not supported")
	} else {
		require.NoError(t, err)
	}
}
