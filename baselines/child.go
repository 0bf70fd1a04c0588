package baselines

import (
	"fmt"
	"os"
)

// EnvChild marks a process that this package started, and says what it is.
const EnvChild = "GENIE_BASELINES_CHILD"

// What a child process is.
const (
	childWorker = "worker"
	childCase   = "case"
)

// Child reports whether this process is one that this package started. A
// program that opens cases asks first thing, and calls [RunChild] if so.
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
