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

// Who gathers a round waits for the members of the last one that came back
// within a part of a round's time when they were last let go: a round without
// them would be one more round. They are waited for half as long again as they
// took then, and a moment.
const (
	returnPart  = 4 // of a round's time: a quarter
	returnExtra = 50 * time.Microsecond
)

// rounds lets calls of one program, each of another session, run together. A
// call that comes while a round runs waits for the next one, which takes all
// that wait, in the order in which they came. The first of them gathers and
// runs it on its own goroutine. A call that is alone runs at once: it waits
// only for what has come back soon before.
type rounds struct {
	limit int // rows of a round
	// run runs the calls of a round and returns those that stayed to its end;
	// it lets the others go before. When it is not over the first of them has left,
	// and goOn runs the rest.
	run  func(members []*member) (stay []*member, over bool)
	goOn func() (stay []*member, over bool)

	mu      sync.Mutex
	busy    bool      // a round is gathered or runs
	waiting []*member // in the order in which they came
	rows    int       // of those that wait
	ended   int       // rounds
	due     int       // members of the last round that are waited for
	until   time.Time // and how long

	gathering bool
	timer     *time.Timer   // of who gathers
	look      chan struct{} // a token: there may be nothing to wait for any more
	batch     []*member     // of the round that runs
}

// member is a call that takes part in rounds. A session has one for each of its
// programs.
type member struct {
	call *Call
	ctx  context.Context //nolint:containedctx // of the call, while it runs
	rows int             // of its products, at most
	wake chan struct{}   // a token: its round is over, or its to run
	lead bool            // it gathers or runs a round
	err  error

	// In a round.
	at int // the group that runs, or that failed
	// What follows is guarded by the mutex of the rounds.
	dueIn int           // the round after which it is waited for
	left  time.Time     // when that let it go, while it is away
	away  time.Duration // how long it was the last time; 0 when that is not known
}

func newRounds(limit int, run func(members []*member) ([]*member, bool), goOn func() ([]*member, bool)) *rounds {
	return &rounds{limit: limit, run: run, goOn: goOn, look: make(chan struct{}, 1)}
}

// do runs m's call in a round. Its error is m.err.
func (r *rounds) do(m *member) {
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
	var rest []*member
	over := true
	defer func() {
		m.lead = false // nobody else looks: a member that runs is in no list
		if over {
			r.end(m, rest, time.Since(start)) // or nobody runs any more
		}
	}()
	if rest, over = r.run(r.batch); !over {
		go r.runRest(start) // m was cancelled and does not wait for the others
	}
}

// runRest is what is left of a round whose leader has gone.
func (r *rounds) runRest(start time.Time) {
	var rest []*member
	defer func() { r.end(nil, rest, time.Since(start)) }()
	rest, _ = r.goOn()
}

// join makes m wait, or lead when nobody does.
func (r *rounds) join(m *member) (leads bool) {
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

// expecting reports whether a round should wait for more calls.
func (r *rounds) expecting() bool { return r.due > 0 && r.rows < r.limit }

// notify leaves a token, unless there is one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// withdraw takes a call that is cancelled back, unless it is in a round or has
// one to run.
func (r *rounds) withdraw(m *member) bool {
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

// gather takes the calls of the next round, of which m is the first. It is
// false when m was cancelled before the others were there; then the next one in
// turn leads.
func (r *rounds) gather(m *member) bool {
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

// await sleeps, without the lock, until there may be nothing to wait for or d
// has passed. It is false when m is cancelled.
func (r *rounds) await(m *member, d time.Duration) bool {
	if r.timer == nil {
		r.timer = time.NewTimer(d)
	} else {
		r.timer.Reset(d)
	}
	r.gathering = true
	defer func() { r.gathering = false }()
	r.mu.Unlock()
	defer r.mu.Lock() // which the caller gives back, whatever happens here
	defer r.timer.Stop()
	select {
	case <-r.look:
	case <-r.timer.C:
	case <-m.ctx.Done():
		return false
	}
	return true
}

// pass lets the first that waits lead, if any does.
func (r *rounds) pass() {
	if r.busy = len(r.waiting) > 0; r.busy {
		r.waiting[0].lead = true
		r.waiting[0].wake <- struct{}{}
	}
}

// end lets go who stayed in a round that m led, nil when that has left, and passes
// on.
func (r *rounds) end(m *member, rest []*member, took time.Duration) {
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
	clear(r.batch) // which rest lies in: a member is its session's to drop
	r.pass()
}
