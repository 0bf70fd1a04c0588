package pools

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
)

// Dial connects to a worker of the pool.
type Dial func(ctx context.Context) (transport.Executor, error)

// Options configure a pool.
type Options struct {
	// Members are the workers that prefill. The pool connects to one when it is
	// first needed, and closes it.
	Members []Dial
	// Least is the number of rows from which a run goes to the pool, and Part
	// that of the parts in which it is made; 0 means [DefaultLeast] and
	// [DefaultPart].
	Least, Part int
	// Log gets a record of each prefill that the pool could not do; discarded
	// when nil.
	Log *slog.Logger
}

// The defaults of [Options].
const (
	DefaultLeast = 64
	DefaultPart  = 128
)

// Count is what a pool has done.
type Count struct {
	Prefills int64 // runs that it made
	Declined int64 // runs that it could not make, and that ran where their session decodes
	Rows     int64 // rows of carried states that were sent
}

// Pool is workers that prefill for sessions of others. It is safe for concurrent
// use.
type Pool struct {
	opts Options

	prefills, declined, rows atomic.Int64

	mu      sync.Mutex
	closed  bool
	members []member
	turn    int // the member that is asked next, of those that do equally much
}

type member struct {
	exec transport.Executor // nil until it is needed
	runs int                // under way
}

// New makes a pool.
func New(o Options) *Pool {
	if o.Least <= 0 {
		o.Least = DefaultLeast
	}
	if o.Part <= 0 {
		o.Part = DefaultPart
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Pool{opts: o, members: make([]member, len(o.Members))}
}

// Count is what the pool has done so far.
func (p *Pool) Count() Count {
	return Count{Prefills: p.prefills.Load(), Declined: p.declined.Load(), Rows: p.rows.Load()}
}

// Executors are the members that the pool is connected to.
func (p *Pool) Executors() (list []transport.Executor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.exec != nil {
			list = append(list, m.exec)
		}
	}
	return list
}

// Close closes the members' executors.
func (p *Pool) Close() error {
	list := p.close()
	var err error
	for _, e := range list {
		err = errors.Join(err, e.Close())
	}
	return err
}

func (p *Pool) close() (list []transport.Executor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for i := range p.members {
		if e := p.members[i].exec; e != nil {
			list = append(list, e)
		}
		p.members[i].exec = nil
	}
	return list
}

// open opens a session on the member with the fewest runs under way that can be
// reached.
func (p *Pool) open(ctx context.Context) (transport.Session, int, error) {
	failed := []error{fmt.Errorf("%w: no worker that prefills", transport.ErrUnreachable)}
	tried := make([]bool, len(p.members))
	for range p.members {
		i := p.pick(tried)
		tried[i] = true
		exec, err := p.executor(ctx, i)
		if err == nil {
			var s transport.Session
			if s, err = exec.NewSession(ctx); err == nil {
				return s, i, nil
			}
		}
		if failed = append(failed, err); ctx.Err() != nil {
			break
		}
	}
	return nil, 0, errors.Join(failed...)
}

// pick is the next member to try.
func (p *Pool) pick(tried []bool) (best int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	best = -1
	for k := range p.members {
		i := (p.turn + k) % len(p.members)
		if !tried[i] && (best < 0 || p.members[i].runs < p.members[best].runs) {
			best = i
		}
	}
	p.turn = best + 1
	return best
}

// executor is that of a member, which is dialled without the lock.
func (p *Pool) executor(ctx context.Context, i int) (transport.Executor, error) {
	if e, err := p.have(i, nil); e != nil || err != nil {
		return e, err
	}
	fresh, err := p.opts.Members[i](ctx)
	if err != nil {
		return nil, err
	}
	e, err := p.have(i, fresh)
	if e != fresh {
		_ = fresh.Close() // another caller was faster, or the pool is closed
	}
	return e, err
}

// have is the executor of a member: fresh, if it has none.
func (p *Pool) have(i int, fresh transport.Executor) (transport.Executor, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("%w: the pool", transport.ErrClosed)
	}
	m := &p.members[i]
	if m.exec == nil {
		m.exec = fresh
	}
	return m.exec, nil
}

// busy counts a run of a member, until it is called with -1.
func (p *Pool) busy(i, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members[i].runs += n
}
