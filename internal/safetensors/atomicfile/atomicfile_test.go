package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteFileReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, content := range []string{"first", "second, longer", ""} {
		require.NoError(t, atomicfile.WriteFile(path, []byte(content)))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
	}
	require.Equal(t, []string{"a"}, names(t, dir))
}

func TestAbortLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	require.NoError(t, atomicfile.WriteFile(path, []byte("old")))
	f, err := atomicfile.Create(path)
	require.NoError(t, err)
	_, err = f.Write([]byte("new"))
	require.NoError(t, err)
	require.Len(t, names(t, dir), 2)
	require.NoError(t, f.Abort())
	require.NoError(t, f.Abort())
	require.NoError(t, f.Commit(), "a commit after the abort does nothing")
	_, err = f.Write([]byte("late"))
	require.ErrorIs(t, err, os.ErrClosed)
	require.Equal(t, []string{"a"}, names(t, dir))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
}

func TestFailedCommitCleansUp(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	require.NoError(t, os.MkdirAll(filepath.Join(path, "child"), 0o755))
	require.Error(t, atomicfile.WriteFile(path, []byte("x")), "a folder cannot be replaced by a file")
	require.Equal(t, []string{"taken"}, names(t, dir))
	require.Error(t, atomicfile.WriteFile(filepath.Join(dir, "absent", "x"), nil))
}
