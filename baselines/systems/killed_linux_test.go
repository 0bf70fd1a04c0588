package systems

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKilled checks that nothing of a reference system outlives this process or
// the program, whichever is killed, and that nothing outlives Close.
func TestKilled(t *testing.T) {
	for _, program := range []string{PyTorchRPC, LlamaCPPRPC, Ray, Ray + " linked"} {
		for _, victim := range []string{"driver", "program"} {
			t.Run(program+"/"+victim, func(t *testing.T) {
				name, linked := program, ""
				if n, ok := strings.CutSuffix(program, " linked"); ok {
					name, linked = n, "1"
				}
				realSystems(t, name)
				exe, err := os.Executable()
				require.NoError(t, err)
				cmd := exec.CommandContext(t.Context(), exe)
				cmd.Env = append(os.Environ(), envDriver+"="+name, envDriver+"_LINKED="+linked)
				cmd.Stderr = os.Stderr
				out, err := cmd.StdoutPipe()
				require.NoError(t, err)
				require.NoError(t, cmd.Start())
				var s Stats
				require.NoError(t, json.NewDecoder(out).Decode(&s))
				require.Greater(t, len(s.Processes), 1)
				for _, p := range s.Processes {
					require.Positive(t, parentOf(p.PID), "%v is alive", p)
				}
				if victim == "driver" {
					require.NoError(t, cmd.Process.Kill())
				} else {
					p, err := os.FindProcess(s.Processes[0].PID)
					require.NoError(t, err)
					require.NoError(t, p.Kill())
				}
				for _, p := range s.Processes {
					require.Eventually(t, func() bool { return parentOf(p.PID) == 0 }, 30*time.Second, 10*time.Millisecond, "%v ends", p)
				}
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
		}
	}
}
