package engine

import (
	"context"
	"time"
)

// OnStep has pause called now and then while the run computes, in the middle of
// long steps too, to let others go first: not by two threads at once. It says how
// long that took, which does not count as the run's time; an error ends the run.
// NewCall forgets it.
func (c *Call) OnStep(pause func(ctx context.Context) (time.Duration, error)) { c.pace.pause = pause }
