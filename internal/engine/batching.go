package engine

import (
	"context"
	"time"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
)

// batching runs calls of one program in a batch: each group that multiplies
// with a matrix which the device wants to read once is one product of all their
// rows, and everything else runs for each call separately. Products give a row
// the same bits whatever other rows they compute, so each call computes what it
// computes alone.
type batching struct {
	batcher *batcher
	joint   []bool  // by group
	outs    []int32 // shape classes of the outputs of joint groups
	batch   device.Batch
	eachOf  func(i int) // runs groups of call i
	halt    halt.Func   // stopped

	// Of the running batch.
	e     *Engine
	calls []*batchCall
	runs  []device.Run
	mem   device.Buffer // of its products, nil if there is none
	halts bool          // it has several calls, and halt is asked
	// The groups between from and to are in progress: one product, or groups
	// that run for each call. done is the number of calls that completed
	// them.
	from, to, done int
	started        bool // the product has been started
	apart          bool // each call computes the product separately
	begun          bool // it has taken its memory
	orphaned       bool // the leading call has left
}

// newBatching decides how calls of a program are batched; nil where no matrix
// is worth sharing among several of them.
func newBatching(p *Program, opts Options) *batching {
	joint := p.code.Joint()
	if opts.MaxBatch < 2 || opts.plain || joint == nil {
		return nil
	}
	t := &batching{joint: joint, batch: p.code.NewBatch()}
	seen := map[int32]bool{}
	for i := range p.Groups {
		if out := p.Places[p.Groups[i].Out].Shape; joint[i] && !seen[out] {
			seen[out] = true
			t.outs = append(t.outs, out)
		}
	}
	t.halt, t.eachOf = t.stopped, func(i int) { t.calls[i].groups(t.from, t.to) }
	t.batcher = newBatcher(opts.MaxBatch, t.run, t.resume)
	return t
}

// jointApart is the work, see [program.Work], that a call of a batch may do
// separately between two joint products. The others wait for it, including
// cancelled ones: about 10 ms.
const jointApart = 1 << 27

// compute runs the call's groups, in a batch with other calls where its
// products have few rows.
func (c *Call) compute(ctx context.Context) error {
	if !c.Gathers() {
		c.s.e.device.Begin()
		defer c.s.e.device.End()
		return c.steps(ctx)
	}
	m, t := &c.b.batchCall, c.b.prog.batching
	m.call, m.ctx, m.err, m.at = c, ctx, nil, 0
	t.batcher.do(m)
	m.ctx = nil
	return m.err
}

// Gathers reports whether the call, when it runs, waits for running calls of
// the same program in other sessions to form a batch. It does so if its
// products have rows, few enough that as many again would fit, and if it does
// little work besides them.
func (c *Call) Gathers() bool {
	t, rows := c.b.prog.batching, 0
	if t == nil {
		return false
	}
	for _, class := range t.outs {
		dims := c.b.bound.Dims[class]
		rows = max(rows, c.b.bound.Elems[class]/max(dims[len(dims)-1], 1))
	}
	c.b.batchCall.rows = rows
	return rows > 0 && 2*rows <= t.batcher.limit && c.b.bound.Apart(t.joint) <= jointApart
}

// run runs a batch on the goroutine of its first call, the leader. A call
// that fails or is cancelled leaves it at once, and the others continue. When
// the leader leaves, run returns early, and another goroutine must call resume.
func (t *batching) run(calls []*batchCall) (stay []*batchCall, over bool) {
	t.e, t.calls = calls[0].call.s.e, calls
	t.from, t.to, t.done, t.orphaned, t.started, t.mem = 0, 0, 0, false, false, nil
	t.e.device.Begin()
	t.begun = len(calls) == 1
	t.halts = !t.begun
	return t.resume()
}

// begin takes the memory of the products. Without it each call computes its
// own, for which it has enough.
func (t *batching) begin() {
	for _, m := range t.calls {
		m.call.measure()
	}
	var err error
	rows := 0
	for _, m := range t.calls {
		rows += m.rows
	}
	if t.mem, err = t.e.arenas.get(t.batch.Scratch(rows)); err != nil {
		t.mem = nil
		return
	}
	t.e.batches.Add(1)
	t.e.batched.Add(int64(len(t.calls)))
}

// resume runs the rest of a batch.
func (t *batching) resume() (stay []*batchCall, over bool) {
	defer func() {
		if r := recover(); r != nil { // no call waits for ever
			for _, m := range t.calls {
				m.settle(device.Caught(r))
			}
			stay, over = t.calls, true
		}
		if over {
			t.e.device.End()
			if t.mem != nil {
				t.e.arenas.put(t.mem)
				t.mem = nil
			}
			clear(t.runs)
		}
	}()
	if !t.halts {
		m := t.calls[0]
		m.err = m.call.steps(m.ctx)
		return t.calls, true
	}
	if !t.begun {
		t.begun = true
		t.begin()
	}
	t.orphaned = false
	t.groups()
	if t.orphaned && len(t.calls) > 0 {
		return nil, false
	}
	for _, m := range t.calls {
		m.settle(nil)
	}
	return t.calls, true
}

// stopped reports whether a call is cancelled: a cancelled one waits for a
// chunk of a product, or a part of another call's run, and no longer.
func (t *batching) stopped() bool {
	for _, m := range t.calls {
		if m.ctx.Err() != nil {
			return true
		}
	}
	return false
}

// settle is the call's, a panic of which is an error of that call alone.
func (m *batchCall) settle(err error) {
	defer func() {
		if r := recover(); r != nil {
			m.err = m.call.s.breaks(r)
		}
	}()
	m.at, err = m.call.wait(m.ctx, m.at, err)
	m.err = m.call.settle(m.ctx, m.at, err)
}

// groups runs the groups in order, until all calls or the leader have left.
func (t *batching) groups() {
	t.e.fault("batch")
	for len(t.calls) > 0 && !t.orphaned {
		if t.from == t.to {
			if t.to == len(t.joint) {
				return
			}
			for t.to++; !t.joint[t.from] && t.to < len(t.joint) && !t.joint[t.to]; {
				t.to++
			}
			t.done, t.apart, t.started = 0, false, false
		}
		if t.joint[t.from] && t.mem != nil && !t.apart {
			t.product()
		} else {
			t.each()
		}
	}
}

// part releases the calls that have failed or are cancelled. It returns how
// many of those were among the first few.
func (t *batching) part(first int) (gone int) {
	stay := t.calls[:0]
	for i, m := range t.calls {
		if m.err == nil && m.at < len(t.joint) && m.ctx.Err() != nil {
			m.err = device.Stopped(m.ctx)
		}
		if m.err == nil {
			stay = append(stay, m)
			continue
		}
		if i < first {
			gone++
		}
		if t.started {
			t.batch.Drop(len(stay))
		}
		if m.settle(m.err); m.lead {
			t.orphaned = true
		} else {
			m.wake <- struct{}{}
		}
	}
	t.calls = stay
	return gone
}

// each runs groups for each call separately.
func (t *batching) each() {
	t.done = t.batch.Each(t.done, len(t.calls), t.halt, t.eachOf)
	if t.done -= t.part(t.done); t.done == len(t.calls) {
		t.from = t.to
	}
}

// groups runs groups of one call.
func (m *batchCall) groups(from, to int) {
	defer func() {
		if r := recover(); r != nil {
			m.err = device.Caught(r)
		}
	}()
	m.at, m.err = m.call.groups(m.ctx, from, to)
}

// product runs a group that is a product, for all calls together, or continues
// it.
func (t *batching) product() {
	start := time.Now()
	begins := !t.started
	if begins {
		t.start()
	}
	whole, err := t.batch.Continue(t.halt)
	if err != nil {
		t.apart, t.started, t.done = true, false, 0 // separately, so that each finds out whether the fault is its own
		return
	}
	each := time.Since(start) / time.Duration(len(t.calls))
	for i, m := range t.calls {
		if m.err = t.batch.Fault(i); m.err == nil && whole {
			m.at = t.to
		}
		if t.e.opts.Profile && begins {
			m.call.times[t.from] = each
		} else if t.e.opts.Profile {
			m.call.times[t.from] += each
		}
	}
	if t.part(0); whole {
		t.from = t.to
	}
}

// start begins the product of all calls.
func (t *batching) start() {
	t.runs = t.runs[:0]
	for _, m := range t.calls {
		m.at = t.from
		t.runs = append(t.runs, m.call.b.run)
	}
	t.started = true
	t.batch.Start(t.from, t.runs, t.mem)
}
