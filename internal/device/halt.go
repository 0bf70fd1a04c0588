package device

import (
	"context"
	"fmt"
	"runtime"

	"github.com/genie-sdk/go/internal/halt"
)

// HaltOn stops what ctx ends; nil where it never does. It is for work that waits
// for no turn, of which there may be as much as there are sessions: goroutines that
// are ready go first.
func HaltOn(ctx context.Context) halt.Func {
	done := ctx.Done()
	if done == nil {
		return nil
	}
	return func() bool {
		runtime.Gosched()
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

// Stopped is the error of work whose context has ended.
func Stopped(ctx context.Context) error {
	return fmt.Errorf("genie: run stopped: %w", context.Cause(ctx))
}
