//go:build unix

package systems

import (
	"os/exec"
	"syscall"
)

// detach puts a child into a process group of its own.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killAll ends a detached child and the processes it started, as far as they
// are below it or in its group.
func killAll(cmd *exec.Cmd) {
	below := descendants(cmd.Process.Pid)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	for _, pid := range below {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// signalAll sends a signal to a detached child and all that it started.
func signalAll(cmd *exec.Cmd, stop bool) {
	signal := syscall.SIGCONT
	if stop {
		signal = syscall.SIGSTOP
	}
	for _, pid := range append(descendants(cmd.Process.Pid), cmd.Process.Pid) {
		_ = syscall.Kill(pid, signal)
	}
}
