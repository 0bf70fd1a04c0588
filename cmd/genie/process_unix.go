//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// detach puts a child into a process group of its own, so that Ctrl-C reaches
// this process alone, which then ends the child.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
