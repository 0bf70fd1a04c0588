package engine

import (
	"slices"
	"time"

	"github.com/genie-sdk/go/internal/device"
)

// The leader of a batch waits for calls of the previous batch that last
// returned within a fraction of a batch's time: a batch without them would
// cause one more batch. It waits for 1.5 times their last delay, plus a
// constant.
const (
	returnPart  = 4 // of a batch's time: a quarter
	returnExtra = 50 * time.Microsecond
)

func newBatcher(limit int, run func(calls []*batchCall) ([]*batchCall, bool), resume func() ([]*batchCall, bool)) *batcher {
	return &batcher{limit: limit, run: run, resume: resume, look: make(chan struct{}, 1)}
}

// do runs m's call in a batch. Its error is m.err.
func (r *batcher) do(m *batchCall) {
	leads := r.join(m)
	for leads || r.wakes(m) {
		runs, waits := r.gather(m)
		if runs {
			r.lead(m)
		}
		if !waits {
			return
		}
		leads = false
	}
}

// wakes waits until m is to lead a batch; false means that its call has ended.
func (r *batcher) wakes(m *batchCall) bool {
	select {
	case <-m.wake:
	case <-m.ctx.Done():
		if r.withdraw(m) {
			return false
		}
		<-m.wake
	}
	return m.lead
}

// lead runs the batch that m has gathered.
func (r *batcher) lead(m *batchCall) {
	start := time.Now()
	var rest []*batchCall
	over := true
	defer func() {
		m.lead = false // no other goroutine looks: a running call is in no list
		if over {
			r.end(m, rest, time.Since(start)) // or when nothing runs any more
		}
	}()
	if rest, over = r.run(r.batch); !over {
		go r.runRest(start) // m has left and does not wait for the others
	}
}

// runRest runs the rest of a batch whose leader has gone.
func (r *batcher) runRest(start time.Time) {
	var rest []*batchCall
	defer func() { r.end(nil, rest, time.Since(start)) }()
	rest, _ = r.resume()
}

// join makes m wait, or lead if there is no leader.
func (r *batcher) join(m *batchCall) (leads bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !m.left.IsZero() {
		m.away, m.left = time.Since(m.left), time.Time{}
	}
	if r.due > 0 && m.dueIn == r.ended {
		m.dueIn = 0
		r.due--
	}
	if m.portion {
		r.riding = append(r.riding, m)
	} else {
		r.waiting = append(r.waiting, m)
		r.rows += m.rows
	}
	m.lead = !r.busy
	r.busy = true
	if r.gathering && !r.expecting() {
		notify(r.look)
	}
	return m.lead
}

// expecting reports whether a batch should wait for more calls.
func (r *batcher) expecting() bool { return r.due > 0 && r.rows < r.limit }

// notify leaves a token, unless there is one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// withdraw removes a cancelled call, unless it is in a batch or has one to run.
func (r *batcher) withdraw(m *batchCall) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.lead || !r.remove(m) {
		return false
	}
	m.err = device.Stopped(m.ctx)
	return true
}

// remove takes a call from those that wait, if it is one.
func (r *batcher) remove(m *batchCall) bool {
	list := &r.waiting
	if m.portion {
		list = &r.riding
	}
	i := slices.Index(*list, m)
	if i < 0 {
		return false
	}
	*list = slices.Delete(*list, i, i+1)
	if !m.portion {
		r.rows -= m.rows
	}
	return true
}

// gather takes the calls of the next batch, of which m is the first. It does not
// when m was cancelled before the others arrived; then the next one in turn
// leads. A portion lets a short call lead, and waits.
func (r *batcher) gather(m *batchCall) (runs, waits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.expecting() {
		d := time.Until(r.until)
		if d <= 0 {
			break
		}
		if !r.await(m, d) {
			r.remove(m)
			m.lead, m.err = false, device.Stopped(m.ctx)
			r.pass()
			return false, false
		}
	}
	if m.portion && len(r.waiting) > 0 {
		m.lead = false
		r.pass()
		return false, true
	}
	r.take(m)
	return true, false
}

// take takes the calls of the next batch: m first, which leads it, then as many
// as the limit allows, then portions.
func (r *batcher) take(m *batchCall) {
	r.remove(m)
	r.batch = append(r.batch[:0], m)
	short, long := m.rows, 0
	if m.portion {
		short, long = 0, m.rows
	}
	n := 0
	for ; n < len(r.waiting) && (short == 0 || short+r.waiting[n].rows <= r.limit); n++ {
		short += r.waiting[n].rows
		r.rows -= r.waiting[n].rows
	}
	r.batch = append(r.batch, r.waiting[:n]...)
	r.waiting = slices.Delete(r.waiting, 0, n)
	n = 0
	for ; n < len(r.riding) && r.ride.takes(short, long, r.riding[n].rows); n++ {
		long += r.riding[n].rows
	}
	r.batch = append(r.batch, r.riding[:n]...)
	r.riding = slices.Delete(r.riding, 0, n)
	r.ride.begin(short, long)
}

// await sleeps, without the lock, until the wait may be over or d has passed.
// It returns false when m is cancelled.
func (r *batcher) await(m *batchCall, d time.Duration) bool {
	if r.timer == nil {
		r.timer = time.NewTimer(d)
	} else {
		r.timer.Reset(d)
	}
	r.gathering = true
	defer func() { r.gathering = false }()
	r.mu.Unlock()
	defer r.mu.Lock() // which the caller releases, whatever happens here
	defer r.timer.Stop()
	select {
	case <-r.look:
	case <-r.timer.C:
	case <-m.ctx.Done():
		return false
	}
	return true
}

// pass lets the first waiting call lead, if there is one.
func (r *batcher) pass() {
	list := r.waiting
	if len(list) == 0 {
		list = r.riding
	}
	if r.busy = len(list) > 0; r.busy {
		list[0].lead = true
		list[0].wake <- struct{}{}
	}
}

// end releases the calls that stayed in a batch that m led (m is nil when it
// has left), and passes on.
func (r *batcher) end(m *batchCall, rest []*batchCall, took time.Duration) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended++
	r.due, r.until = 0, now
	r.ride.end(now, took)
	for _, o := range rest {
		if o.left = now; o.portion {
			o.left = time.Time{} // the others wait for no portion
		}
		if o.away > 0 && !o.portion && o.away <= took/returnPart {
			o.dueIn = r.ended
			r.due++
			if t := now.Add(o.away + o.away/2 + returnExtra); t.After(r.until) {
				r.until = t
			}
		}
		if o != m {
			o.wake <- struct{}{}
		}
	}
	clear(r.batch) // which rest is part of: a call is its session's to drop
	r.pass()
}
