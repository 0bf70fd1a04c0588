package genie

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Feed gives a run its inputs by name. A carried input that is not fed has the
// value that the last run left, zeros at first.
type Feed map[string]*Value

// Session carries state between runs of one program. Calls of one session run
// one after the other; use a session for each conversation.
type Session struct {
	c      *Client
	remote transport.Session

	mu       sync.Mutex
	closed   bool
	side     transport.Session
	prepared map[*plan.Plan]transport.PlanRef
	loops    map[*lazy.Graph]*loop
	elapsed  time.Duration // executor's time of the last run
	fresh    bool          // remote is a new one after a loss, and nothing was run there
	stale    bool          // the executor has state that this side has forgotten
}

// NewSession opens a session on the executor.
func (c *Client) NewSession(ctx context.Context) (*Session, error) {
	r, err := c.workers.session(ctx)
	if err != nil {
		return nil, err
	}
	return &Session{c: c, remote: r, prepared: map[*plan.Plan]transport.PlanRef{}, loops: map[*lazy.Graph]*loop{}}, nil
}

// Close frees what the session holds, here and on the executor.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.side != nil {
		_ = s.side.Close()
	}
	return s.remote.Close()
}

// ExecutorTime is the time that the executor itself spent on the last run,
// transfers apart.
func (s *Session) ExecutorTime() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.elapsed
}

// Reset forgets all carried state, so that the next run starts anew.
func (s *Session) Reset(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.forget() {
		return nil
	}
	return s.resetRemote(ctx)
}

// resetRemote forgets the carried state on the executor.
func (s *Session) resetRemote(ctx context.Context) error {
	err := s.remote.Reset(ctx)
	if s.c.recovers(ctx, err) {
		if err = s.rebuild(ctx, err); err == nil {
			for _, l := range s.loops {
				l.reset()
			}
		}
	}
	s.stale = err != nil
	return err
}

// forget forgets the carried state on this side, and reports whether the executor
// has some.
func (s *Session) forget() bool {
	ran := s.stale
	s.stale = false
	for _, l := range s.loops {
		ran = ran || l.ran && len(l.p.carries) > 0
		l.reset()
	}
	return ran && !s.fresh
}

// Run computes tensors of one program and brings them here. Errors of capture
// come back from here too. Between runs the program may grow, by its own
// goroutine and while no other session uses it: it is then analysed and planned
// anew, and carried state stays. Only a pair that is carried since later than
// the session's state is refused with [ErrState] until a Reset.
func (s *Session) Run(ctx context.Context, feed Feed, outputs ...*lazy.Tensor) ([]*Value, error) {
	return s.run(ctx, feed, false, outputs)
}

// RunRetain is [Session.Run] that leaves the results where they were computed,
// if the policy keeps values there, until they are read or fed to another run.
func (s *Session) RunRetain(ctx context.Context, feed Feed, outputs ...*lazy.Tensor) ([]*Value, error) {
	return s.run(ctx, feed, true, outputs)
}

func (s *Session) run(ctx context.Context, feed Feed, keep bool, outputs []*lazy.Tensor) ([]*Value, error) {
	g, err := graphOf(outputs)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%w: session", ErrClosed)
	}
	l, err := s.loop(g)
	if err != nil {
		return nil, err
	}
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

// runHere is a run on the executor at hand.
func (s *Session) runHere(ctx context.Context, l *loop, feed Feed, keep bool, outputs []*lazy.Tensor) ([]*Value, error) {
	if l.gone != nil {
		return nil, l.gone
	}
	if err := l.bind(feed); err != nil {
		return nil, err
	}
	sch, err := l.schedule(s.c.opts.policy, feed, keep, outputs)
	if err != nil {
		return nil, err
	}
	return s.execute(ctx, l, sch, feed, outputs)
}

func (s *Session) loop(g *lazy.Graph) (*loop, error) {
	old := s.loops[g]
	if old != nil && !old.p.srg.Outdated() {
		return old, nil
	}
	p, err := s.c.program(g)
	if err != nil {
		return nil, err
	}
	l := newLoop(p)
	if old != nil {
		l.takeOver(old)
	}
	s.loops[g] = l
	s.forgetLoops(l)
	return l, nil
}

// Prepare makes ready for runs of a profile, as the first such run would:
// plans are made and sent, weights are brought to the executor.
func (s *Session) Prepare(ctx context.Context, p semantic.Profile, outputs ...*lazy.Tensor) error {
	g, err := graphOf(outputs)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.loop(g)
	if err != nil {
		return err
	}
	sch, err := l.p.schedule(s.c.opts.policy, p, false, nil, outputs)
	if err != nil {
		return err
	}
	for replays := 0; ; replays++ {
		_, err = s.prepare(ctx, sch.Plan, g)
		if replays == maxReplays || !s.c.recovers(ctx, err) {
			return err
		}
		if err := s.rebuild(ctx, err); err != nil {
			return err
		}
	}
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
