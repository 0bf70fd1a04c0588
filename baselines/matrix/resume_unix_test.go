//go:build unix

package matrix_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines/matrix"
)

// TestResumeOfAPipe must not block until something writes to it.
func TestResumeOfAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, _, err := matrix.Resume(path, &matrix.Header{})
	require.ErrorIs(t, err, matrix.ErrOtherRun)
	require.ErrorContains(t, err, path)
}
