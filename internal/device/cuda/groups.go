package cuda

import (
	"time"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// askEvery is the number of groups between two checks whether to stop or to let
// others go first.
const askEvery = 8

// Groups implements [device.Run]: it launches them.
func (r *run) Groups(from, to int, times []time.Duration) (n int, err error) {
	n = from
	defer func() {
		if p := recover(); p != nil {
			err = device.Caught(p)
		}
	}()
	if err := r.d.enter(); err != nil {
		return n, err
	}
	defer r.d.leave()
	if err := r.begin(); err != nil {
		return n, err
	}
	for ; n < to; n++ {
		if (n%askEvery == 0 || n == to-1) && r.ctl.Halt() {
			return n, op.ErrHalted
		}
		if err := r.group(&r.groups[n], times); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Kernel implements [device.Run].
func (r *run) Kernel(i int) string { return r.groups[i].kernel }

// group launches one group.
func (r *run) group(g *group, times []time.Duration) error {
	r.d.fault("kernel")
	if r.bound.Len(g.of.Out) == 0 {
		return nil
	}
	if times == nil {
		return r.launch(g)
	}
	at := 2 * len(r.timed)
	if err := r.queue.mark(r.st, at); err != nil {
		return err
	}
	if err := r.launch(g); err != nil {
		return err
	}
	r.timed = append(r.timed, timed{g.index, times})
	return r.queue.mark(r.st, at+1)
}

func (r *run) launch(g *group) error {
	if err := r.keepPace(r.cost(g)); err != nil {
		return err
	}
	return r.d.check(g.launch(r, g))
}

// timed is a group whose time is measured: with marks before and after it, in
// order.
type timed struct {
	group int
	times []time.Duration
}

// takeTimes stores the measured times, once all marks have been reached.
func (r *run) takeTimes() error {
	defer func() { r.timed = r.timed[:0] }()
	for i, t := range r.timed {
		d, err := r.queue.marks[2*i+1].Since(r.queue.marks[2*i])
		if err != nil {
			return r.d.check(err)
		}
		t.times[t.group] = d
	}
	return nil
}

// pacing bounds the work that is queued: a run that is halted waits for it.
type pacing struct {
	work float64 // queued after the last mark
	next int     // the event of the next mark
	used [2]bool // events that were recorded in this run
}

const (
	// paceSeconds is about how long the queued work of a run takes.
	paceSeconds = 0.02
	// lanesEach is the floating-point operations per cycle of a
	// multiprocessor that a slow kernel reaches.
	lanesEach = 64
	// moved is the number of operations that take about as long as moving an
	// element.
	moved = 32
)

// keepPace waits, before work is queued, until little enough is queued. A step
// that decodes a token never waits: its work is far less.
func (r *run) keepPace(work float64) error {
	p := &r.ahead
	if p.work += work; p.work < r.d.pace {
		return nil
	}
	p.work = 0
	st := r.queue.st
	if err := r.d.check(r.st.Record(st.events[p.next])); err != nil {
		return err
	}
	p.used[p.next] = true
	p.next = 1 - p.next
	if !p.used[p.next] {
		return nil
	}
	return st.reached(p.next)
}

// pace is the work between two marks, in operations.
func (d *Device) paceOf() float64 {
	return paceSeconds / 2 * lanesEach * float64(d.props.Multiprocessors) * float64(d.props.ClockKHz) * 1000
}

// cost is about the work of a group, in operations.
func (r *run) cost(g *group) float64 {
	out := float64(r.bound.Len(g.of.Out))
	switch {
	case g.of.Kind == program.Attend:
		q, k := g.in[0].Shape, g.in[1].Shape
		last := len(q) - 1
		return 2 * float64(r.bound.Len(g.of.In[0])) * float64(k[last-1]) * 2
	case g.op.Name() == "matmul":
		a := g.in[0].Shape
		k := a[len(a)-1]
		if g.op.(op.MatMul).TransA {
			k = a[len(a)-2]
		}
		return 2 * out * float64(k)
	}
	return moved * max(out, float64(r.bound.Len(g.of.In[0])))
}
