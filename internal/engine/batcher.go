package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/device"
)

// DefaultMaxBatch is [Options.MaxBatch] where that is 0.
const DefaultMaxBatch = 16

// The leader of a batch waits for calls of the previous batch that last
// returned within a fraction of a batch's time: a batch without them would
// cause one more batch. It waits for 1.5 times their last delay, plus a
// constant.
const (
	returnPart  = 4 // of a batch's time: a quarter
	returnExtra = 50 * time.Microsecond
)

// batcher batches calls of one program, each from another session. A call that
// arrives during a batch waits for the next one, which takes all waiting calls
// in the order of arrival. The first of them gathers the batch and runs it on
// its own goroutine. A lone call runs at once: it waits only for calls that
// recently returned quickly.
type batcher struct {
	limit int // maximum rows of a batch
	// run runs the calls of a batch and returns those that stayed to its end;
	// it releases the others earlier. When the batch is not over, its leader
	// has left, and resume runs the rest.
	run    func(calls []*batchCall) (stay []*batchCall, over bool)
	resume func() (stay []*batchCall, over bool)

	mu      sync.Mutex
	busy    bool         // a batch is being gathered or runs
	waiting []*batchCall // in the order of arrival
	rows    int          // of the waiting calls
	ended   int          // batches
	due     int          // calls of the last batch that are waited for
	until   time.Time    // and until when

	gathering bool
	timer     *time.Timer   // of the leader that gathers
	look      chan struct{} // a token: the wait may be over
	batch     []*batchCall  // of the running batch
}

// batchCall is a call that takes part in batches. A session has one for each of
// its programs.
type batchCall struct {
	call *Call
	ctx  context.Context //nolint:containedctx // of the call, while it runs
	rows int             // of its products, at most
	wake chan struct{}   // a token: its batch is over, or it is to run one
	lead bool            // it gathers or runs a batch
	err  error

	// In a batch.
	at int // the running group, or the one that failed
	// What follows is guarded by the mutex of the batcher.
	dueIn int           // the batch after which it is waited for
	left  time.Time     // when that batch released it, while it is away
	away  time.Duration // its last delay; 0 when unknown
}

func newBatcher(limit int, run func(calls []*batchCall) ([]*batchCall, bool), resume func() ([]*batchCall, bool)) *batcher {
	return &batcher{limit: limit, run: run, resume: resume, look: make(chan struct{}, 1)}
}

// do runs m's call in a batch. Its error is m.err.
func (r *batcher) do(m *batchCall) {
	if !r.join(m) {
		select {
		case <-m.wake:
		case <-m.ctx.Done():
			if r.withdraw(m) {
				return
			}
			<-m.wake
		}
	}
	if !m.lead || !r.gather(m) {
		return
	}
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
		go r.runRest(start) // m was cancelled and does not wait for the others
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
	r.waiting = append(r.waiting, m)
	r.rows += m.rows
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
	i := slices.Index(r.waiting, m)
	if i < 0 || m.lead {
		return false
	}
	r.waiting = slices.Delete(r.waiting, i, i+1)
	r.rows -= m.rows
	m.err = device.Stopped(m.ctx)
	return true
}

// gather takes the calls of the next batch, of which m is the first. It returns
// false when m was cancelled before the others arrived; then the next one in
// turn leads.
func (r *batcher) gather(m *batchCall) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.expecting() {
		d := time.Until(r.until)
		if d <= 0 {
			break
		}
		if !r.await(m, d) {
			r.waiting = slices.Delete(r.waiting, 0, 1)
			r.rows -= m.rows
			m.lead, m.err = false, device.Stopped(m.ctx)
			r.pass()
			return false
		}
	}
	n, rows := 0, 0
	for n < len(r.waiting) && (n == 0 || rows+r.waiting[n].rows <= r.limit) {
		rows += r.waiting[n].rows
		n++
	}
	r.batch = append(r.batch[:0], r.waiting[:n]...)
	r.waiting = slices.Delete(r.waiting, 0, n)
	r.rows -= rows
	return true
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
	if r.busy = len(r.waiting) > 0; r.busy {
		r.waiting[0].lead = true
		r.waiting[0].wake <- struct{}{}
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
	for _, o := range rest {
		o.left = now
		if o.away > 0 && o.away <= took/returnPart {
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
