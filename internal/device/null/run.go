package null

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
)

// run implements [device.Run]. A real one has the places of its values, and the
// arguments of its kernels.
type run struct {
	code  *code
	bound *program.Bound
	ctl   device.Control
	costs []cost   // by group, at the sizes of the last run
	queue []queued // the device's work for it, in order
}

// cost is the work of a group, computed on demand.
type cost struct {
	known bool
	work  program.Cost
	time  time.Duration // alone
}

// queued is a group that occupies the device until a time.
type queued struct {
	group    int
	from, to time.Duration
}

// Prepare implements [device.Run]. A real run takes its weights here.
func (*run) Prepare(context.Context, []device.Weight) error { return nil }

// Workspaces implements [device.Run].
func (*run) Workspaces(need []int) { clear(need) }

// Heap implements [device.Run].
func (*run) Heap() int64 { return 0 }

// Place implements [device.Run]. A real run points its kernels at the memory.
func (r *run) Place(p device.Placement) error {
	if p.Changed&^r.code.prog.Capacities() != 0 {
		clear(r.costs)
	}
	r.queue = r.queue[:0]
	return nil
}

// Forget implements [device.Run].
func (r *run) Forget() { clear(r.costs) }

// cost is that of group i.
func (r *run) cost(i int) *cost {
	c := &r.costs[i]
	if !c.known {
		c.work, c.known = r.code.prog.Cost(i, r.bound.Shape), true
		c.time = r.code.d.time(Work{Cost: c.work, Program: r.code.prog, Group: i, Shape: r.bound.Shape, Runs: 1})
	}
	return c
}

// Groups implements [device.Run]: it queues them.
func (r *run) Groups(from, to int, times []time.Duration) (n int, err error) {
	defer device.Recovered(&err)
	for n = from; n < to; n++ {
		if r.ctl.Halted() {
			return n, op.ErrHalted
		}
		c := r.cost(n)
		begin, end := r.code.d.queue(c.time)
		r.queue = append(r.queue, queued{n, begin, end})
		if times != nil {
			times[n] = c.time
		}
	}
	return n, nil
}

// Kernel implements [device.Run].
func (*run) Kernel(int) string { return "null" }

// Wait implements [device.Run]: the kernels begin and end in their time.
func (r *run) Wait(n int) (at int, err error) {
	if len(r.queue) == 0 {
		return n, nil
	}
	defer func() {
		if err != nil {
			r.code.d.giveUp(r.queue[len(r.queue)-1].to)
		}
		r.queue = r.queue[:0]
	}()
	defer device.Recovered(&err)
	for _, q := range r.queue {
		at = q.group
		r.code.d.fault("kernel")
		if !r.code.d.opts.Clock.WaitUntil(q.to, r.ctl.Halt) {
			return at, op.ErrHalted
		}
	}
	return n, nil
}

// View implements [device.Run]: this process cannot address the device's memory.
func (*run) View(int) []byte { return nil }

// Read implements [device.Run].
func (r *run) Read(v int, dst []byte) error {
	n := r.bound.Bytes(v)
	if n > len(dst) {
		return fmt.Errorf("%w: value %d has %d bytes, the memory for it %d", transport.ErrInternal, v, n, len(dst))
	}
	clear(dst[:n])
	return nil
}

// Copy implements [device.Run].
func (*run) Copy(int, device.Buffer) error { return nil }
