package worker

import (
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport/wire"
)

// The goroutine that received a run does it itself if it expects the run to
// take at most briefRun and its answer to have at most briefAnswer bytes:
// waking the session's goroutine takes longer than such a run. Meanwhile
// nothing else of the connection is received. If the run takes longer than
// expected, another goroutine starts to receive, after briefWatch to twice
// that.
const (
	briefRun    = 100 * time.Microsecond
	briefAnswer = 16 << 10
	briefWatch  = 5 * time.Millisecond
)

// expectation is the duration of a plan's last run, as an estimate of the next.
// The goroutine that has the session's turn owns it.
type expectation struct {
	bindings []int
	brief    bool
}

// learn is called after a run.
func (e *expectation) learn(bindings []int, brief bool, a answer) {
	e.bindings = append(e.bindings[:0], bindings...)
	e.brief = brief && wire.Len(a.payload) <= briefAnswer
}

// brief reports whether the run is expected to be brief: the last one of its
// plan had the same sizes and was. Batched calls never are: they wait for calls
// of other sessions, which may be on the same connection.
func (r *call) brief() bool {
	e := &r.p.expected
	return e.brief && slices.Equal(e.bindings, r.bindings)
}

// takes reports whether the goroutine that has received t completely is to do
// it; it then has the session's turn. This requires that no request of the
// session waits or runs and that the connection's last request was of the same
// session: sessions that work at the same time run concurrently, each in its
// own goroutine.
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
	if s.idle() && t.call.brief() && !t.call.awaits() {
		return true
	}
	s.turn <- struct{}{}
	return false
}

// idle reports whether no request of the session waits or runs.
func (s *session) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued == s.finished
}

// receiver decides which goroutine of a connection receives.
type receiver struct {
	// n is odd while the receiving goroutine does a run. The goroutine that
	// makes it even receives: the same one after the run, or the watching one.
	n       atomic.Uint64
	watched atomic.Bool

	// Owned by the receiving goroutine:
	last  uint32        // session of the last request with a session
	until time.Time     // when its last run ended
	spent time.Duration // on runs without a pause in between
}

// runHere does a run on the receiving goroutine, and reports whether that
// goroutine still receives.
func (c *conn) runHere(t *task) (receives bool) {
	r, begun := &c.receiver, t.st.seen.begun
	if begun.Sub(r.until) > receiverTurn/50 { // it has waited, and other goroutines could run
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

// watch takes over receiving from a run that takes too long. It continues to
// check as long as there are such runs.
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
			if r.n.Load() != now && !r.watched.Swap(true) { // such a run has just begun
				c.watch()
			}
		}
	})
}
