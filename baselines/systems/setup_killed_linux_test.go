package systems

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSetupKilled checks that a killed setup changes nothing, and that the next
// one ends its remaining processes and removes its files.
func TestSetupKilled(t *testing.T) {
	for _, there := range []bool{false, true} {
		t.Run(map[bool]string{true: "there", false: "empty"}[there], func(t *testing.T) {
			o := fakeSetupIn(t, "")
			if there {
				_, _, err := Setup(t.Context(), o)
				require.NoError(t, err)
			}
			exe, err := os.Executable()
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), exe)
			cmd.Env = append(os.Environ(), envFake+"=", envDriver+"="+driveSetup, envDriver+"_FAKE="+fakeSetup+"wait:llama")
			require.NoError(t, cmd.Start())
			fakeWaits(t)
			require.NoError(t, cmd.Process.Kill())
			require.Error(t, cmd.Wait())
			text, err := os.ReadFile(os.Getenv(envFakeWaits))
			require.NoError(t, err)
			pip, err := strconv.Atoi(string(text))
			require.NoError(t, err)
			require.Positive(t, parentOf(pip), "it is left running")
			t.Cleanup(func() {
				if parentOf(pip) != 0 { // the test failed
					_ = syscall.Kill(pip, syscall.SIGKILL)
				}
			})
			if there {
				require.NoError(t, Available(LlamaCPP))
			}
			require.Greater(t, len(cacheNames(t)), 1)

			e, made, err := Setup(t.Context(), o)
			require.NoError(t, err)
			require.Equal(t, !there, made)
			require.Equal(t, []string{linkName, filepath.Base(e.Dir)}, cacheNames(t))
			require.Eventually(t, func() bool { return parentOf(pip) == 0 }, 30*time.Second, 10*time.Millisecond, "it has ended")
			require.NoError(t, Available(LlamaCPP))
		})
	}
}
