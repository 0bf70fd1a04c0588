package genie

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
)

// Feed gives a run its inputs by name, and with their shapes the sizes of symbolic
// dimensions. Inputs that the outputs do not need may be left out. A carried input
// that is not fed has the value that the last run left, zeros at first. The run does
// not hold on to the map or the values.
type Feed map[string]*Value

// Session carries state between runs of one program or several. It is safe for
// concurrent use: its calls run one after the other, in the order in which they
// were made, and a call whose context ends while it waits for its turn returns at
// once. Use a session for each conversation. See the package's documentation for
// which programs carry what.
type Session struct {
	c       *Client
	turn    chan struct{} // one token: its holder makes a call
	ended   chan struct{} // closed by Close
	elapsed atomic.Int64  // executor's time of the last run, in nanoseconds
	loops   *perGraph[loop]

	// With the turn:
	states states
	fresh  bool  // remote is a new one after a loss, and nothing was run there
	stale  bool  // the executor has state that the client has forgotten
	warned bool  // of references of operators
	lost   error // why remote is gone, until another one is open
	home   home  // in a fleet

	retains bool // it may have retained values, which do not move

	mu     sync.Mutex
	closed bool
	cancel context.CancelCauseFunc // ends the call under way; nil for none
	remote transport.Session       // changed with the turn, too
	side   transport.Session       // the same; nil until it is needed
}

// NewSession opens a session on the executor.
func (c *Client) NewSession(ctx context.Context) (*Session, error) {
	s := &Session{c: c, turn: oneToken(), ended: make(chan struct{}), loops: &perGraph[loop]{}}
	var err error
	if s.remote, err = c.open(ctx, &s.home); err != nil {
		return nil, err
	}
	// One that is dropped without Close leaves nothing behind with its graphs.
	runtime.AddCleanup(s, (*perGraph[loop]).done, s.loops)
	return s, nil
}

// ExecutorTime is the time that the executor itself spent on the last run,
// transfers apart. It waits for no call.
func (s *Session) ExecutorTime() time.Duration { return time.Duration(s.elapsed.Load()) }

// Reset clears all carried state, so that the next run starts from the
// beginning.
func (s *Session) Reset(ctx context.Context) error {
	ctx, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	return s.reset(ctx)
}

// reset is Reset with the turn.
func (s *Session) reset(ctx context.Context) error {
	if s.lost != nil {
		if err := s.rebuild(ctx, s.lost); err != nil {
			return err
		}
	}
	if !s.forget() {
		return nil
	}
	return s.resetRemote(ctx)
}

// resetRemote clears the carried state on the executor.
func (s *Session) resetRemote(ctx context.Context) error {
	s.stale = true
	err := s.remote.Reset(ctx)
	if s.c.recovers(ctx, err) {
		if err = s.rebuild(ctx, err); err == nil {
			for l := range s.states.all() {
				l.reset()
			}
		}
	}
	s.stale = err != nil
	return err
}

// forget clears the carried state in this process, and reports whether the
// executor has some.
func (s *Session) forget() bool {
	ran := s.stale || s.states.ran
	s.stale = false
	s.states.forget()
	return ran && !s.fresh
}

// Run computes tensors of one program and returns them: a value for each
// output, with memory of its own. It also returns errors of capture. A run that
// fails leaves carried state unchanged, or lost if it was stopped during an
// in-place write: later runs then return [ErrState] until a Reset. Between runs
// the program may grow, by its own goroutine and while no other session uses
// it. It is then analysed and planned again, and carried state stays. Only a
// pair that was declared carried after the session got its state is refused
// with [ErrState] until a Reset.
func (s *Session) Run(ctx context.Context, feed Feed, outputs ...*lazy.Tensor) ([]*Value, error) {
	return s.run(ctx, feed, false, outputs)
}

// RunRetain is [Session.Run], but retains the results on the executor, if the
// policy supports that, until they are read or fed to another run.
func (s *Session) RunRetain(ctx context.Context, feed Feed, outputs ...*lazy.Tensor) ([]*Value, error) {
	return s.run(ctx, feed, true, outputs)
}

func (s *Session) run(ctx context.Context, feed Feed, keep bool, outputs []*lazy.Tensor) ([]*Value, error) {
	if _, err := graphOf(outputs); err != nil {
		return nil, err
	}
	ctx, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	return s.runNow(ctx, feed, keep, outputs)
}

// runNow is a run with the turn.
func (s *Session) runNow(ctx context.Context, feed Feed, keep bool, outputs []*lazy.Tensor) ([]*Value, error) {
	g, err := graphOf(outputs)
	if err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	l, err := s.loop(ctx, g)
	if err != nil {
		return nil, err
	}
	if err := s.settle(ctx, l); err != nil {
		return nil, err
	}
	s.retains = s.retains || keep
	for replays := 0; ; replays++ {
		out, err := s.runHere(ctx, l, feed, keep, outputs)
		if replays == maxReplays || !s.c.recovers(ctx, err) || l.gone != nil {
			return out, err
		}
		if err := s.rebuild(ctx, err); err != nil {
			return nil, err
		}
	}
}

// ready completes what the previous call could not: it opens the session again
// if that failed or was given up, and forgets carried state.
func (s *Session) ready(ctx context.Context) error {
	if s.lost != nil {
		if err := s.rebuild(ctx, s.lost); err != nil {
			return err
		}
	}
	if s.stale {
		return s.resetRemote(ctx)
	}
	return nil
}

// runHere is a run on the current executor.
func (s *Session) runHere(ctx context.Context, l *loop, feed Feed, keep bool, outputs []*lazy.Tensor) ([]*Value, error) {
	if l.gone != nil {
		return nil, l.gone
	}
	if err := l.bind(feed); err != nil {
		return nil, err
	}
	sch, err := l.schedule(ctx, s.c.opts.policy, feed, keep, outputs)
	if err != nil {
		return nil, err
	}
	return s.execute(ctx, l, sch, feed, outputs)
}

// loop is what the session knows of a program, with names for what it carries.
func (s *Session) loop(ctx context.Context, g *lazy.Graph) (*loop, error) {
	l := s.loops.of(g)
	if l == nil || l.p.srg.Outdated() {
		p, err := s.c.program(ctx, g)
		if err != nil {
			return nil, err
		}
		old := l
		l = newLoop(p)
		if old != nil {
			l.takeOver(old)
			s.states.replaced(old, l)
		}
		s.loops.set(g, l)
	}
	return l, s.states.claim(l)
}

// Prepare makes ready for runs of a profile, as the first such run would:
// plans are made and sent, weights are brought to the executor. The profile says
// of which kind the runs are, not of which size: semantic.PhasePrefill and
// semantic.PhaseDecode for a program with a KV cache; one without has a single
// profile.
func (s *Session) Prepare(ctx context.Context, p semantic.Profile, outputs ...*lazy.Tensor) error {
	if _, err := graphOf(outputs); err != nil {
		return err
	}
	ctx, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	return s.prepareAll(ctx, []semantic.Profile{p}, outputs...)
}

func graphOf(outputs []*lazy.Tensor) (*lazy.Graph, error) {
	if len(outputs) == 0 {
		return nil, fmt.Errorf("%w: a run needs at least one output", ErrCapture)
	}
	for _, t := range outputs {
		if err := t.Err(); err != nil {
			return nil, err
		}
		if t.Graph() != outputs[0].Graph() {
			return nil, fmt.Errorf("%w: outputs of two graphs", ErrCapture)
		}
	}
	g := outputs[0].Graph()
	return g, g.Err()
}
