package engine

import (
	"time"

	"github.com/genie-sdk/go/internal/device"
)

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
	t.halt, t.eachOf = t.stopped, func(i int) { t.calls[i].groups(t.from, min(t.to, t.calls[i].until)) }
	t.batcher = newBatcher(opts.MaxBatch, t.run, t.resume)
	return t
}

// jointApart is the work, see [program.Work], that a call of a batch may do
// separately between two joint products. The others wait for it, including
// cancelled ones: about 10 ms.
const jointApart = 1 << 27

// run runs a batch on the goroutine of its first call, the leader. A call
// that fails or is cancelled leaves it at once, and the others continue. When
// the leader leaves, run returns early, and another goroutine must call resume.
func (t *batching) run(calls []*batchCall) (stay []*batchCall, over bool) {
	t.e, t.on, t.calls = calls[0].call.s.e, calls[0].call.s.on, calls
	t.from, t.to, t.done, t.orphaned, t.started, t.mem = 0, 0, 0, false, false, nil
	t.on.hold()
	t.on.device.Begin()
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
	if t.mem, err = t.on.arenas.get(t.batch.Scratch(rows)); err != nil {
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
			t.on.device.End()
			if t.mem != nil {
				t.on.arenas.put(t.mem)
				t.mem = nil
			}
			t.on.leave()
			clear(t.runs)
		}
	}()
	if !t.halts {
		m := t.calls[0]
		m.err = m.call.steps(m.ctx, m.until)
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

// part releases the calls that have failed, are cancelled or have run the groups
// that they want. It returns how many of those were among the first few.
func (t *batching) part(first int) (gone int) {
	stay := t.calls[:0]
	for i, m := range t.calls {
		if m.err == nil && m.at < m.until && m.ctx.Err() != nil {
			m.err = device.Stopped(m.ctx)
		}
		if m.err == nil && (m.at < m.until || m.until == len(t.joint)) {
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
		switch times := m.call.times; {
		case times == nil:
		case begins:
			times[t.from] = each
		default:
			times[t.from] += each
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
