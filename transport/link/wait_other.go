//go:build !linux

package link

import "time"

// newPreciseTimer: there is none beyond Go's own.
func newPreciseTimer() preciseTimer { return nil }

func yieldUntil(time.Time) {}
