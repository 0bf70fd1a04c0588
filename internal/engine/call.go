package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
)

// NewCall binds a program to sizes. It waits for the session's running call,
// and the session runs no other until Release. It takes all memory of the run
// except its inputs, or none. Errors: [transport.ErrShape] for bad sizes,
// [transport.ErrState], [transport.ErrLimit], [transport.MemoryError],
// [transport.ErrMissingWeight].
func (s *Session) NewCall(p *Program, bindings []int) (*Call, error) {
	return s.NewCallContext(context.Background(), p, bindings)
}

// NewCallContext is NewCall, but stops when ctx ends: copying growing states
// and packing filters take a while where they are large. The error then wraps
// the cause of ctx.
func (s *Session) NewCallContext(ctx context.Context, p *Program, bindings []int) (*Call, error) {
	if len(bindings) != len(p.Symbols()) {
		return nil, fmt.Errorf("%w: %d bindings for the symbols %v", transport.ErrShape, len(bindings), p.Symbols())
	}
	s.run.Lock()
	c, err := s.newCall(ctx, p, bindings)
	if err != nil {
		s.run.Unlock()
		return nil, err
	}
	c.locked = true
	return c, nil
}

// newCall is NewCall with the session's turn, which it leaves to its caller; a
// panic becomes an error, so that the turn is passed on.
func (s *Session) newCall(ctx context.Context, p *Program, bindings []int) (c *Call, err error) {
	defer func() {
		if err != nil && c != nil {
			c.giveBack()
			c = nil
		}
	}()
	defer s.guard(&err)
	b, err := s.binding(p)
	if err != nil {
		return nil, err
	}
	c = &b.call
	c.s, c.b, c.elapsed, c.kernel = s, b, 0, 0
	c.pace.pause, c.pace.paused, c.broken = nil, 0, false
	if c.profile = nil; !s.e.opts.Profile {
		c.times = nil
	}
	c.parts.on = false
	if err := b.bind(ctx, s, bindings); err != nil {
		return c, err
	}
	clear(b.place.Inputs)
	return c, nil
}

// bind binds the call to sizes and takes its memory. A portion of a run uses that
// of the run, which was bound to all rows before.
func (b *binding) bind(ctx context.Context, s *Session, bindings []int) error {
	s.e.fault("bind")
	changed := b.bound.Set(bindings)
	ok, more := false, int64(0)
	defer func() {
		if b.bound.SetValid(ok); !ok {
			b.run.Forget()
			b.giveHeap(s, more)
		}
	}()
	if err := b.bound.Eval(changed); err != nil {
		return err
	}
	if changed != 0 {
		if err := b.bound.CheckWork(s.e.opts.MaxStepFLOPs); err != nil {
			return err
		}
	}
	if err := b.findWeights(ctx, s.on); err != nil {
		return err
	}
	grown, err := b.fitStates(s)
	if err != nil {
		return err
	}
	if err := b.fitBuffers(changed, s.e.opts.MaxScratch); err != nil {
		return err
	}
	if more, err = b.takeHeap(s, changed); err != nil {
		return err
	}
	if err := b.takeAll(s); err != nil && b.bound.Valid() {
		b.bound.SetValid(false) // also without room to grow in the buffers
		if err := b.fitBuffers(changed, s.e.opts.MaxScratch); err != nil {
			return err
		}
		if err := b.takeAll(s); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if len(b.growing) > 0 {
		if err := b.growStates(ctx, s); err != nil {
			return err
		}
		grown = true
	}
	if grown {
		changed |= b.prog.Capacities()
		if err := b.bound.Eval(b.prog.Capacities()); err != nil {
			return err
		}
	}
	b.changed |= changed // including those of an abandoned call
	if err := b.checkViews(changed); err != nil {
		return err
	}
	ok = true
	return nil
}

// run runs all rows that the call is bound to.
func (c *Call) run(ctx context.Context) error { return c.perform(ctx, false, true) }

// perform runs the call as it is bound: as a portion of a run, or all of what is
// left. Only the last part of a run has outputs.
func (c *Call) perform(ctx context.Context, portion, last bool) (err error) {
	start := time.Now()
	c.pace.begin(ctx)
	defer func() {
		c.elapsed += time.Since(start) - c.pace.paused
		if c.broken = err != nil; c.broken {
			c.b.run.Forget() // frees the workspace that a kernel held when it panicked
		}
		c.pace.end()
	}()
	defer c.s.guard(&err)
	b, p := c.b, c.b.prog
	for i, in := range p.Plan().Inputs {
		if x := &b.place.Inputs[i]; x.Data == nil && x.Buffer == nil && c.InputSize(i) > 0 {
			return fmt.Errorf("%w: input %q has no value", transport.ErrUnknownInput, in.Name)
		}
	}
	c.s.e.fault("place")
	b.place.Arena, b.place.Changed, b.place.Moved = c.arena, b.changed, b.moved
	if err := b.run.Place(b.place); err != nil {
		if c.pace.Halted() {
			return c.pace.cause(ctx)
		}
		return err
	}
	b.changed, b.moved = 0, false
	switch {
	case !portion:
		err = c.compute(ctx)
	case last:
		err = c.join(ctx, len(p.Groups), true)
	default:
		err = c.join(ctx, p.division.Until, true)
	}
	if err != nil {
		return err
	}
	c.s.e.fault("finish")
	if !last {
		c.appendRows()
		return nil
	}
	c.s.e.runs.Add(1)
	if err := c.finish(ctx); err != nil {
		c.lose(len(p.Groups)) // what was written in place remains
		return err
	}
	return nil
}

// Elapsed is the time that Run took.
func (c *Call) Elapsed() time.Duration { return c.elapsed }

// KernelTime is the sum of the kernels' times of the run, measured when
// [Options.Profile] is set.
func (c *Call) KernelTime() time.Duration { return c.kernel }

// Release frees the call and lets the session's next call run. It may be called
// twice.
func (c *Call) Release() {
	if !c.locked {
		return
	}
	c.locked = false
	defer c.s.run.Unlock()
	c.giveBack()
}

// giveBack frees the memory of the call, and the unused rest of the memory for
// its effects.
func (c *Call) giveBack() {
	switch {
	case c.arena == nil:
	case c.broken:
		c.s.on.arenas.discard(c.arena)
	default:
		c.s.on.arenas.put(c.arena)
	}
	for _, m := range c.copies {
		memory.Unmap(m)
	}
	clear(c.copies)
	c.copies = c.copies[:0]
	for _, m := range c.staged {
		if m != nil {
			c.s.e.host.put(m)
		}
	}
	c.s.e.budget.Release(budget.Scratch, c.spare)
	c.s.e.budget.Release(budget.Retained, c.keeping)
	c.s.e.budget.Release(budget.State, c.growing)
	c.s.budget.Give(c.keeping + c.grown)
	c.arena, c.spare, c.keeping, c.growing, c.grown = nil, 0, 0, 0, 0
	clear(c.staged)
	c.dropOutputs()
	c.parts.free(c.s.e)
	for _, k := range c.used {
		c.s.unuse(k)
	}
	clear(c.used)
	c.used = c.used[:0]
}

// dropOutputs frees the memory of values to be retained, if the call did not
// retain them, and of values on the way to a state.
func (c *Call) dropOutputs() {
	for i := range c.outputs {
		if o := &c.outputs[i]; o.mem != nil {
			c.s.on.device.Free(device.UseRetained, o.mem)
			o.mem = nil
		}
	}
	for i, mem := range c.aside {
		if mem != nil {
			c.s.on.device.Free(device.UseRetained, mem)
			c.aside[i] = nil
		}
	}
}
