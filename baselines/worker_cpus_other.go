//go:build !linux

package baselines

import (
	"fmt"
	"os/exec"
)

// startOn starts a process on one CPU, which is only possible on Linux.
func startOn(*exec.Cmd, int) error {
	return fmt.Errorf("%w: a worker on one CPU needs Linux", ErrUnavailable)
}
