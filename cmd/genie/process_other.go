//go:build !unix

package main

import (
	"os"
	"os/exec"
)

func detach(*exec.Cmd) {}

// screenSignals are the signals about the terminal that a program draws on.
var screenSignals = []os.Signal{}

func isSuspend(os.Signal) bool { return false }

func suspend() error { return nil }
