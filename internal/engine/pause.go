package engine

import (
	"context"
	"time"
)

// OnStep has pause called before each step of the run, to let others go first. It
// says how long that took, which does not count as the run's time; an error ends
// the run. NewCall forgets it. Parts of a plan that run side by side are not paused.
func (c *Call) OnStep(pause func(ctx context.Context) (time.Duration, error)) { c.pause = pause }

// letOthers pauses if it is asked to.
func (c *Call) letOthers(ctx context.Context) error {
	if c.pause == nil {
		return nil
	}
	waited, err := c.pause(ctx)
	c.paused += waited
	return err
}
