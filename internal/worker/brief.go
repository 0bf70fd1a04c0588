package worker

import (
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport/wire"
)

// A run that is expected to take no longer than briefRun, with an answer of at
// most briefAnswer bytes, is done by the goroutine that received it: to wake the
// session's takes longer than such a run. Nothing else of its connection is
// received meanwhile, so that what takes longer than expected does not keep
// receiving: another goroutine takes that over after briefWatch, or twice as long.
const (
	briefRun    = 100 * time.Microsecond
	briefAnswer = 16 << 10
	briefWatch  = 5 * time.Millisecond
)

// expectation is what is known of the runs of a plan: how the last one went. Who
// does the session's requests has it.
type expectation struct {
	bindings []int
	brief    bool
}

// learn is called when a run has been done.
func (e *expectation) learn(bindings []int, brief bool, a answer) {
	e.bindings = append(e.bindings[:0], bindings...)
	e.brief = brief && wire.Len(a.payload) <= briefAnswer
}

// brief reports whether the run is expected to take no time. Sizes that were not
// seen last are not known. Runs that are gathered wait for those of other
// sessions, which may be on the same connection.
func (r *call) brief() bool {
	e := &r.p.expected
	return e.brief && slices.Equal(e.bindings, r.bindings)
}

// takes reports whether the goroutine that has received t in full is to do it,
// which is then its turn in the session. Nothing of the session waits or runs then,
// and no other session's request came since its last: several that are at work run
// beside each other, each in its own goroutine.
func (s *session) takes(t *task) bool {
	r, num := &t.st.c.receiver, t.st.seen.session
	alone := r.last == num
	r.last = num
	if !alone || t.call == nil || t.st.repeat != nil {
		return false
	}
	select {
	case <-s.turn:
	default:
		return false
	}
	if s.idle() && t.call.brief() {
		return true
	}
	s.turn <- struct{}{}
	return false
}

// idle counts a request more if there are none that wait or run.
func (s *session) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued == s.finished
}

// receiver says which goroutine of a connection receives: the one that does a
// brief run lets another take it over when the run is not as brief.
type receiver struct {
	// n is odd while the receiving goroutine does a run. Who makes it even
	// receives: that goroutine afterwards, or the one that watches it.
	n       atomic.Uint64
	watched atomic.Bool

	// The receiving goroutine's:
	last  uint32        // session of the last request that could wait in one
	until time.Time     // when its last run ended
	spent time.Duration // on runs that followed each other at once
}

// does does a run on the receiving goroutine, and reports whether that still
// receives.
func (c *conn) does(t *task) (receives bool) {
	r, begun := &c.receiver, t.st.seen.begun
	if begun.Sub(r.until) > receiverTurn/50 { // it has waited, and others could run
		r.spent = 0
	}
	n := r.n.Add(1)
	if !r.watched.Swap(true) {
		c.watch()
	}
	t.session.serve(t)
	if !r.n.CompareAndSwap(n, n+1) {
		return false
	}
	r.until = time.Now()
	if r.spent += r.until.Sub(begun); r.spent >= receiverTurn {
		r.spent = 0
		runtime.Gosched()
	}
	return true
}

// watch takes receiving over from a run that has taken too long. It looks for as
// long as there are runs to look at.
func (c *conn) watch() {
	r := &c.receiver
	seen := r.n.Load()
	time.AfterFunc(briefWatch, func() {
		now := r.n.Load()
		switch {
		case now != seen:
			c.watch()
		case now%2 == 1 && r.n.CompareAndSwap(now, now+1):
			r.watched.Store(false)
			c.attend(c.receive)
		default:
			r.watched.Store(false)
			if r.n.Load() != now && !r.watched.Swap(true) { // just now
				c.watch()
			}
		}
	})
}
