package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Member is one executor of a cluster. Its index in the list of members is the
// device that plans name.
type Member struct {
	Name     string // in errors; unique
	Executor transport.Executor
}

// MaxMembers bounds the members of a cluster.
const MaxMembers = plan.MaxDevices

// Option configures [New].
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

type options struct {
	placement func(*plan.Plan) []int
	direct    func(from, to int, v plan.Spec) bool
	micro     int // the most micro-batches of a run
	batch     func(*plan.Plan) (string, bool)
}

// WithPlacement chooses the device of each step of a plan, in place of what the
// plan says. It is a pure function of the plan; a nil result leaves the plan as it
// is. Plans are checked against the members before.
func WithPlacement(place func(*plan.Plan) []int) Option {
	return optionFunc(func(o *options) { o.placement = place })
}

// Executor is a cluster. It implements [transport.Executor].
type Executor struct {
	members []Member
	opts    options
	ledger  *transport.Ledger
	counts  counts
	routes  *routes

	mu       sync.Mutex
	closed   bool
	sessions map[*session]struct{} // open ones
}

// New makes a cluster of members, which belong to it from then on: Close closes
// them. Errors wrap [transport.ErrLimit].
func New(members []Member, opts ...Option) (*Executor, error) {
	x := &Executor{members: slices.Clone(members), sessions: map[*session]struct{}{}, opts: options{direct: large}, routes: newRoutes(min(len(members), MaxMembers))}
	for _, o := range opts {
		o.apply(&x.opts)
	}
	if len(members) == 0 || len(members) > MaxMembers {
		return nil, fmt.Errorf("%w: a cluster of %d members, 1 to %d are possible", transport.ErrLimit, len(members), MaxMembers)
	}
	names := map[string]bool{}
	ledgers := make([]*transport.Ledger, len(members))
	for i := range x.members {
		m := &x.members[i]
		if m.Name == "" {
			m.Name = fmt.Sprintf("member %d", i)
		}
		if names[m.Name] {
			return nil, fmt.Errorf("%w: two members with the name %q", transport.ErrLimit, m.Name)
		}
		names[m.Name] = true
		ledgers[i] = m.Executor.Ledger()
	}
	x.ledger = ledgers[0]
	if len(ledgers) > 1 {
		x.ledger = transport.SumLedgers(ledgers...)
	}
	return x, nil
}

// Members are the members, by device.
func (x *Executor) Members() []Member { return slices.Clone(x.members) }

// NewSession implements [transport.Executor]. The sessions of the members are
// opened when they are first needed.
func (x *Executor) NewSession(ctx context.Context) (transport.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("cluster session: %w", ctxError(ctx))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, fmt.Errorf("%w: cluster", transport.ErrClosed)
	}
	s := newSession(x)
	x.sessions[s] = struct{}{}
	return s, nil
}

// Ledger implements [transport.Executor]. It is the sum of the members' ledgers.
func (x *Executor) Ledger() *transport.Ledger { return x.ledger }

// Close implements [transport.Executor].
func (x *Executor) Close() error {
	open, first := x.end()
	if !first {
		return nil
	}
	var wait sync.WaitGroup
	for _, s := range open {
		wait.Go(func() { _ = s.Close() })
	}
	wait.Wait()
	errs := make([]error, len(x.members))
	for i := range x.members {
		wait.Go(func() { errs[i] = x.failed(i, x.members[i].Executor.Close()) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// end prevents new sessions and returns the open ones; first is false after an
// earlier call.
func (x *Executor) end() (open []*session, first bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, false
	}
	x.closed = true
	for s := range x.sessions {
		open = append(open, s)
	}
	return open, true
}

// forget takes a session that is closed from the cluster's.
func (x *Executor) forget(s *session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.sessions, s)
}

// open are the sessions that are open.
func (x *Executor) open() []*session {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]*session, 0, len(x.sessions))
	for s := range x.sessions {
		out = append(out, s)
	}
	return out
}

// failed gives an error of a member its name.
func (x *Executor) failed(member int, err error) error {
	if err == nil || len(x.members) == 1 {
		return err
	}
	return fmt.Errorf("member %q: %w", x.members[member].Name, err)
}

// ctxError gives both the end of ctx and its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
