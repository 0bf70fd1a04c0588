//go:build !unix

package systems

import "os/exec"

func detach(*exec.Cmd) {}

// killAll ends a child; the processes that it started end when their pipes do.
func killAll(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

func killMarked(string) {}

// signalAll is not available on this system: processes continue.
func signalAll(*exec.Cmd, bool) {}
