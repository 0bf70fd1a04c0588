package worker

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/genie-sdk/go/internal/admission"
	"github.com/genie-sdk/go/transport"
)

// DefaultMaxQueue is the default limit of waiting runs.
const DefaultMaxQueue = 4096

// admitter decides which requests run and which wait.
type admitter struct {
	runs  *admission.Scheduler
	queue *admission.Queue
	// Prepares have separate places: a run may wait for another client's work,
	// a plan to be prepared must not wait for that, and the costs of the two
	// say nothing about each other.
	prepares *admission.Scheduler
	waiting  *admission.Queue
}

func newAdmitter(o Options) admitter {
	return admitter{
		runs:  admission.New(admission.Options{MaxRunning: o.MaxRunning}),
		queue: admission.NewQueue(o.MaxQueue, nil),
		// At most half of the processors, and at least one: the others are for
		// runs.
		prepares: admission.New(admission.Options{MaxRunning: o.MaxRunning / 2}),
		waiting:  admission.NewQueue(o.MaxQueue, nil),
	}
}

// defaultRunning is one run per processor.
func defaultRunning() int { return runtime.GOMAXPROCS(0) }

// Load is the load of a server at one moment.
type Load struct {
	Queued  int // runs that have not begun
	Turns   int // the first waiting run of each session
	Running int // places taken by running runs
	// Plans that are being prepared, and plans that wait for it.
	Preparing, Unprepared int
}

// Load counts.
func (s *Server) Load() Load {
	l := s.admit.runs.Load()
	p := s.admit.prepares.Load()
	return Load{
		Queued: s.admit.queue.Waiting(), Turns: l.Waiting, Running: l.Running,
		Preparing: p.Running, Unprepared: s.admit.waiting.Waiting(),
	}
}

// tenancy is a session's share of the worker's time and queue.
type tenancy struct {
	flow     *admission.Flow // for runs
	line     *admission.Line
	prepares *admission.Flow
	waiting  *admission.Line // for Prepares
}

// tenancy begins the share of a session. Sessions of one identity share; a
// session without an identity does not.
func (a *admitter) tenancy(identity string) tenancy {
	if identity == Anonymous {
		identity = ""
	}
	return tenancy{
		flow: a.runs.Flow(identity), line: a.queue.Line(identity),
		prepares: a.prepares.Flow(identity), waiting: a.waiting.Line(identity),
	}
}

func (t tenancy) leave() {
	t.flow.Close()
	t.line.Close()
	t.prepares.Close()
	t.waiting.Close()
}

// place takes a place in the queue for a run.
func (s *session) place(r *call) (err error) {
	r.place, err = join(s.line, s.srv.admit.queue, "runs")
	return err
}

// join takes a place in q.
func join(l *admission.Line, q *admission.Queue, of string) (*admission.Place, error) {
	p, retry := l.Join()
	if p == nil {
		return nil, &transport.OverloadError{
			RetryAfter: retry,
			Err:        fmt.Errorf("%w: %d %s wait on this worker", transport.ErrOverloaded, q.Waiting(), of),
		}
	}
	return p, nil
}

// full is the error of a session with too many waiting requests.
func (s *session) full() error {
	return &transport.OverloadError{
		RetryAfter: s.srv.admit.queue.Hint(queueLen),
		Err:        fmt.Errorf("%w: %d requests wait in this session", transport.ErrOverloaded, queueLen),
	}
}

// inTurn runs a call when it is the session's turn, and gives up the turn
// afterwards: a loop does so after each of its runs, and a run in portions after
// each of them.
func (r *call) inTurn(ctx context.Context, ec Call) error {
	return ec.RunInTurns(ctx, func(ctx context.Context, batched bool, run func(ctx context.Context) error) error {
		var key any
		if batched { // calls that are batched start together and take one place
			key = r.p.program.Batch()
		}
		t, err := r.s.flow.Enter(ctx, key)
		if err != nil {
			return err
		}
		defer t.Leave()
		r.place.Begin()
		if key == nil {
			ec.OnStep(t.Yield)
		}
		return run(ctx)
	})
}

// bound ends a request when its caller's remaining time is over: it drops the
// request before it has begun, and stops it afterwards.
func (st *stream) bound(milliseconds uint64) {
	const most = uint64(1<<63-1) / uint64(time.Millisecond)
	if milliseconds == 0 || milliseconds > most {
		return
	}
	ctx, stop := context.WithTimeoutCause(st.ctx, time.Duration(milliseconds)*time.Millisecond,
		fmt.Errorf("genie: the caller's time is over: %w", context.DeadlineExceeded))
	cancel := st.cancel
	st.c.mu.Lock() // a shutdown cancels all streams
	defer st.c.mu.Unlock()
	st.ctx, st.cancel = ctx, func(cause error) {
		cancel(cause)
		stop()
	}
}
