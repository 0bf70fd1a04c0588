package genie

import (
	"context"
	"fmt"
	"slices"
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
	carried  map[*lazy.Tensor]*carriedValue
	elapsed  time.Duration // executor's time of the last run
}

// carriedValue is the state of a carried pair between runs: its shape, and its
// value when the policy brings it back.
type carriedValue struct {
	shape []int
	data  []byte // nil while the executor keeps it
}

// NewSession opens a session on the executor.
func (c *Client) NewSession(ctx context.Context) (*Session, error) {
	r, err := c.exec.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	return &Session{c: c, remote: r, prepared: map[*plan.Plan]transport.PlanRef{}, carried: map[*lazy.Tensor]*carriedValue{}}, nil
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

// Reset forgets all carried state, so that the next run starts anew.
func (s *Session) Reset(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.carried) == 0 {
		return nil
	}
	clear(s.carried)
	return s.remote.Reset(ctx)
}

// Run computes tensors of one program and brings them here. Errors of capture
// come back from here too.
func (s *Session) Run(ctx context.Context, feed Feed, outputs ...*lazy.Tensor) ([]*Value, error) {
	return s.run(ctx, feed, false, outputs)
}

// RunKeep is [Session.Run] that leaves the results where they were computed,
// if the policy keeps values there, until they are read or fed to another run.
func (s *Session) RunKeep(ctx context.Context, feed Feed, outputs ...*lazy.Tensor) ([]*Value, error) {
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
	a, err := s.c.analyse(g)
	if err != nil {
		return nil, err
	}
	b, err := s.bind(g, feed)
	if err != nil {
		return nil, err
	}
	profile, err := a.srg.ProfileOf(b)
	if err != nil {
		return nil, err
	}
	sch, err := a.schedule(s.c, profile, keep, s.fed(g, feed), outputs)
	if err != nil {
		return nil, err
	}
	return s.execute(ctx, sch, feed, b, outputs)
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
	a, err := s.c.analyse(g)
	if err != nil {
		return err
	}
	sch, err := a.schedule(s.c, p, false, nil, outputs)
	if err != nil {
		return err
	}
	_, err = s.prepare(ctx, sch.Plan, g)
	return err
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

// bind finds the sizes of all symbols from what is fed and carried.
func (s *Session) bind(g *lazy.Graph, feed Feed) (plan.Bindings, error) {
	b := plan.Bindings{}
	shapes := make([][]int, len(g.Inputs()))
	named := 0
	for i, t := range g.Inputs() {
		v := feed[t.Name()]
		if v != nil {
			named++
			if v.DType() != t.DType() {
				return nil, fmt.Errorf("%w: input %q is %v, fed %v", ErrDType, t.Name(), t.DType(), v.DType())
			}
			shapes[i] = v.Shape()
		} else if c := s.carried[t]; c != nil {
			shapes[i] = c.shape
		} else {
			continue
		}
		if len(shapes[i]) != len(t.Shape()) {
			return nil, fmt.Errorf("%w: input %q is %v, fed shape %v", ErrShape, t.Name(), t.Spec(), shapes[i])
		}
		for d, n := range shapes[i] {
			if sym, ok := t.Shape()[d].Symbol(); ok {
				if old, bound := b[sym]; bound && old != n {
					return nil, fmt.Errorf("%w: input %q makes %s %d, another input makes it %d", ErrShape, t.Name(), sym, n, old)
				}
				b[sym] = n
			}
		}
	}
	if named != len(feed) {
		return nil, unknownFeed(g, feed)
	}
	for i, t := range g.Inputs() {
		if shapes[i] == nil && isCarried(g, t) {
			for _, d := range t.Shape() {
				for _, sym := range d.Symbols(nil) {
					if _, ok := b[sym]; !ok {
						b[sym] = 0
					}
				}
			}
		}
	}
	for i, t := range g.Inputs() {
		if shapes[i] == nil {
			continue
		}
		if want, err := t.Shape().Eval(b); err != nil || !slices.Equal(want, shapes[i]) {
			return nil, fmt.Errorf("%w: input %q is %v, fed shape %v", ErrShape, t.Name(), t.Spec(), shapes[i])
		}
	}
	return b, nil
}

// fed lists the carried pairs whose value comes from this side: from the feed,
// or from a run before which the feed started.
func (s *Session) fed(g *lazy.Graph, feed Feed) []int {
	var out []int
	for i, c := range g.Carries() {
		if v := s.carried[c.In]; feed[c.In.Name()] != nil || v != nil && v.data != nil {
			out = append(out, i)
		}
	}
	return out
}

func isCarried(g *lazy.Graph, t *lazy.Tensor) bool {
	return slices.ContainsFunc(g.Carries(), func(c lazy.Carried) bool { return c.In == t })
}

func unknownFeed(g *lazy.Graph, feed Feed) error {
	for name := range feed {
		if !slices.ContainsFunc(g.Inputs(), func(t *lazy.Tensor) bool { return t.Name() == name }) {
			return fmt.Errorf("%w: the program %q has no input %q", ErrUnknownInput, g.Name(), name)
		}
	}
	return fmt.Errorf("%w: a fed value is nil", ErrUnknownInput)
}
