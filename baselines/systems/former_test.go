package systems

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFormerNames checks that environments set up under former names are found:
// the environment variables, and the folder where the present one is missing.
func TestFormerNames(t *testing.T) {
	t.Setenv(EnvTest, "")
	t.Setenv(formerTest, "")
	require.False(t, Tested())
	t.Setenv(formerTest, "1")
	require.True(t, Tested())

	dir := t.TempDir()
	t.Setenv(EnvCache, "")
	t.Setenv(formerCache, dir)
	got, err := cacheDir()
	require.NoError(t, err)
	require.Equal(t, dir, got)
	t.Setenv(EnvCache, filepath.Join(dir, "present"))
	got, err = cacheDir()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "present"), got)

	if runtime.GOOS != "linux" {
		return // the location of the user's cache folder depends on the system
	}
	t.Setenv(EnvCache, "")
	t.Setenv(formerCache, "")
	t.Setenv("XDG_CACHE_HOME", dir)
	present, former := filepath.Join(dir, "genie", "reference-systems"), filepath.Join(dir, "genie", "peers")
	for _, step := range []struct{ make, want string }{{"", present}, {former, former}, {present, present}} {
		if step.make != "" {
			require.NoError(t, os.MkdirAll(step.make, 0o700))
		}
		got, err := cacheDir()
		require.NoError(t, err)
		require.Equal(t, step.want, got)
	}
}
