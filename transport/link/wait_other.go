//go:build !linux

package link

import "time"

// newPreciseTimer returns nil: there is none besides Go's own.
func newPreciseTimer() preciseTimer { return nil }

func yieldUntil(time.Time) {}
