package device

import (
	"context"
	"fmt"
	"runtime"

	"github.com/genie-sdk/go/internal/halt"
)

// HaltOn stops when ctx ends; nil if it never does. It is for work that waits
// for no turn. There may be as much of it as there are sessions, so it lets
// ready goroutines go first.
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

// InTurn is [Batch.Each] for a device whose runs take turns: one after the other.
func InTurn(from, n int, h halt.Func, f func(i int)) (to int) {
	for to = from; to < n && (to == from || !h.Now()); to++ {
		f(to)
	}
	return to
}
