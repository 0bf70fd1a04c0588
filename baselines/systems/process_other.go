//go:build !unix

package systems

import "os/exec"

func detach(*exec.Cmd) {}

// killAll ends a child; what the child started ends when its pipes do.
func killAll(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

func killMarked(string) {}

// signalAll is not known here: processes continue.
func signalAll(*exec.Cmd, bool) {}
