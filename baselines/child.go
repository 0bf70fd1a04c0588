package baselines

import (
	"fmt"
	"os"
)

// EnvChild marks a process that this package started, and selects its role.
const EnvChild = "GENIE_BASELINES_CHILD"

// The roles of a child process.
const (
	childWorker = "worker"
	childCase   = "case"
)

// Child reports whether this package started this process. A program that opens
// cases checks this first, and calls [RunChild] if so.
func Child() bool { return os.Getenv(EnvChild) != "" }

// RunChild is the main function of such a process.
func RunChild() error {
	switch what := os.Getenv(EnvChild); what {
	case childWorker:
		return runWorker()
	case childCase:
		return runCase(os.Stdin, os.Stdout)
	default:
		return fmt.Errorf("%w: child %q", ErrUnknown, what)
	}
}
