//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// detach puts a child into its own process group, so that Ctrl-C reaches only
// this process, which then ends the child.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// screenSignals are the signals about the terminal that a program draws on.
var screenSignals = []os.Signal{syscall.SIGWINCH, syscall.SIGTSTP}

// isSuspend reports whether a signal is that of Ctrl-Z.
func isSuspend(s os.Signal) bool { return s == syscall.SIGTSTP }

// suspend stops this process until it is resumed.
func suspend() error {
	goesOn := make(chan os.Signal, 1)
	signal.Notify(goesOn, syscall.SIGCONT)
	defer signal.Stop(goesOn)
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	<-goesOn
	return nil
}
