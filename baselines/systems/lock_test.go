package systems

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLockSetup checks that the lock has one owner at a time, although each
// removes its file, and that every owner releases it.
func TestLockSetup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var inside, entered atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				unlock, err := lockSetup(path)
				if err != nil {
					continue
				}
				if inside.Add(1) != 1 {
					t.Error("two have it")
				}
				entered.Add(1)
				inside.Add(-1)
				unlock()
			}
		})
	}
	all.Wait()
	require.Positive(t, entered.Load())
	require.NoFileExists(t, path)
	unlock, err := lockSetup(path)
	require.NoError(t, err)
	_, err = lockSetup(path)
	require.ErrorContains(t, err, "is setting the environment up")
	unlock()
}

// TestLockFileShared checks that shared owners of a file exclude others.
func TestLockFileShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lockFile(path, true)
	require.NoError(t, err)
	second, err := lockFile(path, true)
	require.NoError(t, err)
	for _, release := range []func(){first, second} {
		_, err = lockFile(path, false)
		require.ErrorIs(t, err, errLocked)
		release()
	}
	alone, err := lockFile(path, false)
	require.NoError(t, err)
	_, err = lockFile(path, true)
	require.ErrorIs(t, err, errLocked)
	alone()
	_, err = lockFile(filepath.Join(path, "x"), false)
	require.Error(t, err)
}
