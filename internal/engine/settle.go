package engine

import (
	"context"
	"fmt"
	"time"
)

// measure makes room for the times of the groups, when they are measured.
func (c *Call) measure() {
	if c.s.e.opts.Profile && c.times == nil {
		c.times = make([]time.Duration, len(c.b.prog.Groups))
	}
}

// settle accounts for n groups that ran. For an error it adds where it occurred
// and marks the states that it lost.
func (c *Call) settle(ctx context.Context, n int, err error) error {
	p := c.b.prog
	c.s.e.fault("settle")
	if err != nil && n < len(p.Groups) {
		g := &p.Groups[n]
		if ctx.Err() == nil {
			err = fmt.Errorf("step %d (%s): %w", g.Last(), p.Res.Ops[g.Last()].Name(), err)
		}
		c.lose(n + 1)
	}
	c.s.e.ops.Add(int64(p.StepsBefore[n]))
	if c.s.e.opts.Profile {
		for _, d := range c.times[:n] {
			c.kernel += d
		}
		c.s.e.addProfile(p, c.times[:n], c.kernel)
	}
	return err
}
