//go:build unix

package baselines

import (
	"os/exec"
	"syscall"
)

// isolate keeps a terminal's interrupt away from a child: it ends when its
// input does, which its parent sees to.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
