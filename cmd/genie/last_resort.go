package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// lastResort is how long a shutdown may take beyond the drain timeout: ending
// the other requests takes a second, and the farewell half of one.
const lastResort = 3 * time.Second

// endAnyway calls end when done has not been called for the given time after
// ctx ended.
func endAnyway(ctx context.Context, after time.Duration, end func()) (done func()) {
	finished := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-finished:
			return
		}
		late := time.NewTimer(after)
		defer late.Stop()
		select {
		case <-late.C:
			end()
		case <-finished:
		}
	}()
	return sync.OnceFunc(func() { close(finished) })
}

// giveUp ends a worker whose shutdown hangs.
func (a *app) giveUp() {
	_, _ = fmt.Fprintln(a.stderr, "genie: the shutdown hangs; ending the process")
	os.Exit(exitDrain)
}
