package weightcache

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// ErrFull is the cause of errors about room.
var ErrFull = errFull

// Folder opens a folder of the system.
func Folder(t testing.TB, dir string) Files {
	f, err := openFolder(dir)
	require.NoError(t, err)
	return f
}
