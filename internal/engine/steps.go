package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// compute runs the call's groups, in a batch with other calls where its
// products have few rows.
func (c *Call) compute(ctx context.Context) error {
	if !c.Gathers() {
		c.s.on.device.Begin()
		defer c.s.on.device.End()
		return c.steps(ctx, len(c.b.prog.Groups))
	}
	return c.join(ctx, len(c.b.prog.Groups), false)
}

// join runs groups of the call in a dynamic batch, up to one of them.
func (c *Call) join(ctx context.Context, until int, portion bool) error {
	m := &c.b.batchCall
	m.call, m.ctx, m.err, m.at, m.until, m.portion = c, ctx, nil, 0, until, portion
	c.b.prog.batching.batcher.do(m)
	m.ctx = nil
	return m.err
}

// Gathers reports whether the call, when it runs, waits for running calls of
// the same program in other sessions to form a batch. It does so if its
// products have rows, few enough that as many again would fit, and if it does
// little work besides them.
func (c *Call) Gathers() bool {
	t := c.b.prog.batching
	if t == nil {
		return false
	}
	rows := c.productRows()
	c.b.batchCall.rows = rows
	return rows > 0 && 2*rows <= t.batcher.limit && c.b.bound.Apart(t.joint) <= jointApart
}

// productRows is the number of rows that the call's batched products have, at
// most.
func (c *Call) productRows() (rows int) {
	for _, class := range c.b.prog.batching.outs {
		dims := c.b.bound.Dims[class]
		rows = max(rows, c.b.bound.Elems[class]/max(dims[len(dims)-1], 1))
	}
	return rows
}

// steps runs the first groups in order. A panic of a kernel is an error of the
// run.
func (c *Call) steps(ctx context.Context, until int) (err error) {
	c.measure()
	n := 0
	defer func() {
		n, err = c.wait(ctx, n, err)
		err = c.settle(ctx, n, err)
	}()
	n, err = c.groups(ctx, 0, until)
	return err
}

// groups runs groups from..to and returns the first that did not run.
func (c *Call) groups(ctx context.Context, from, to int) (n int, err error) {
	n, err = c.b.run.Groups(from, to, c.times)
	if err != nil && c.pace.Halted() {
		return n, c.pace.cause(ctx)
	}
	return n, err
}

// wait returns when no group of the call is queued or running any more, with
// the number of groups that ran, and the error that stopped them. n and err are
// what was known before.
func (c *Call) wait(ctx context.Context, n int, err error) (int, error) {
	at, late := c.b.run.Wait(n)
	switch {
	case late == nil:
		return n, err
	case c.pace.Halted():
		return at, c.pace.cause(ctx)
	}
	return at, late
}

// lose marks states that one of the first n groups overwrote as lost.
func (c *Call) lose(n int) {
	p := c.b.prog
	for i, d := range p.Plan().States {
		if d.Mode == plan.StateWrite && slices.ContainsFunc(p.Groups[:n], func(g program.Group) bool { return g.Last() == p.Res.Def[d.Out] }) {
			c.b.states[i].lost = true
		}
	}
}

// measure makes room for the times of the groups, when they are measured.
func (c *Call) measure() {
	if (c.s.e.opts.Profile || c.profile != nil) && c.times == nil {
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
	c.addGroups(n)
	if c.s.e.opts.Profile {
		for _, d := range c.times[:n] {
			c.kernel += d
		}
		c.s.e.addProfile(p, c.times[:n], c.kernel)
	}
	return err
}
