//go:build unix

package baselines

import (
	"os/exec"
	"syscall"
)

// isolate protects a child from a terminal's interrupt: the child ends when its
// input ends, which its parent controls.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
