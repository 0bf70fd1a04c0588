package worker

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/genie-sdk/go/internal/admission"
	"github.com/genie-sdk/go/transport"
)

// DefaultMaxQueue bounds the runs that wait in all when nothing else is said.
const DefaultMaxQueue = 4096

// gatherer is a call that may say that the engine makes it one run with those of
// other sessions. Such calls of a program go together and take one place.
type gatherer interface{ Gathers() bool }

// admitter decides who runs and who may wait.
type admitter struct {
	runs  *admission.Scheduler
	queue *admission.Queue
	// Prepares have places of their own: a run may wait for what another client
	// does, a plan to be prepared may not wait for that, and what one costs says
	// nothing of the other.
	prepares *admission.Scheduler
	waiting  *admission.Queue
}

func newAdmitter(o Options) admitter {
	return admitter{
		runs:  admission.New(admission.Options{MaxRunning: o.MaxRunning}),
		queue: admission.NewQueue(o.MaxQueue, nil),
		// Half of the processors at most, and one at least: the others are for runs.
		prepares: admission.New(admission.Options{MaxRunning: o.MaxRunning / 2}),
		waiting:  admission.NewQueue(o.MaxQueue, nil),
	}
}

// defaultRunning is a run for each processor.
func defaultRunning() int { return runtime.GOMAXPROCS(0) }

// Load is the runs of a server at one moment.
type Load struct {
	Queued  int // that have not begun
	Turns   int // that wait for their turn, first among those of their session
	Running int // places taken by those that go
	// Plans that are being prepared, and that wait for it.
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

// tenancy is a session's part in the worker's time and queue.
type tenancy struct {
	flow     *admission.Flow // of runs
	line     *admission.Line
	prepares *admission.Flow
	waiting  *admission.Line // of Prepares
}

// tenancy begins the part of a session. Sessions of one identity share; those of
// nobody known are by themselves.
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

// full is the error of a session that has too many requests waiting.
func (s *session) full() error {
	return &transport.OverloadError{
		RetryAfter: s.srv.admit.queue.Hint(queueLen),
		Err:        fmt.Errorf("%w: %d requests wait in this session", transport.ErrOverloaded, queueLen),
	}
}

// turn runs when it is the session's turn, and gives the turn up afterwards: a
// loop does so after each of its runs.
func (r *call) turn(ctx context.Context, ec Call) error {
	var key any
	if g, ok := ec.(gatherer); ok && g.Gathers() {
		key = r.p.program
	}
	t, err := r.s.flow.Enter(ctx, key)
	if err != nil {
		return err
	}
	defer t.Leave()
	r.place.Begin()
	if p, ok := ec.(pauser); ok && key == nil {
		p.OnStep(t.Yield)
	}
	return ec.Run(ctx)
}

// pauser is a call that others can go before while it runs, in the middle of a step
// too.
type pauser interface {
	OnStep(pause func(ctx context.Context) (time.Duration, error))
}

// bound ends a request when what is left of its caller's time is over: before it
// has begun it is then dropped, and afterwards stopped.
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
