package engine

import (
	"context"
	"time"
)

// OnStep sets pause, which is called at intervals while the run computes, also
// within long steps, to let others go first: never by two threads at once. It
// returns how long that took, which does not count as the run's time; an error
// ends the run. NewCall resets it.
func (c *Call) OnStep(pause func(ctx context.Context) (time.Duration, error)) { c.pace.pause = pause }
