package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// Executor implements [transport.Executor] on a worker, with one connection at
// a time: a lost one is restored if the caller wants that, and its sessions
// resume on it.
type Executor struct {
	cfg    Config
	retry  Retry
	dial   func(ctx context.Context) (*Client, error)
	hashes hashes
	bound  atomic.Int64 // times that sizes of a plan were computed

	ctx    context.Context //nolint:containedctx // ends when the executor is closed
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	cur      *Client
	dialling *dialling // in progress; nil for none
	lastSess uint32
	sessions map[*session]struct{}
}

// Dial makes an executor and its first connection. dial makes a connection; it
// is called again, by one goroutine at a time, as retry says. Its error may be
// a [FinalError].
func Dial(ctx context.Context, cfg Config, retry Retry, dial func(ctx context.Context) (*Client, error)) (*Executor, error) {
	x := &Executor{cfg: cfg.withDefaults(), retry: retry, dial: dial, sessions: map[*session]struct{}{}}
	x.ctx, x.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c, err := x.first(ctx)
	if err != nil {
		x.cancel()
		return nil, err
	}
	x.cur = c
	x.watch(c)
	return x, nil
}

// Ledger implements [transport.Executor]. It counts all connections.
func (x *Executor) Ledger() *transport.Ledger { return x.cfg.Ledger }

// Bound is how often the sizes of a plan were computed: once for each run, and once
// for all runs of a loop.
func (x *Executor) Bound() int64 { return x.bound.Load() }

func (x *Executor) layout(p *plan.Plan) *wire.Layout {
	return &wire.Layout{Plan: p, Symbols: p.Symbols(), Bound: &x.bound}
}

// Stats implements [transport.Executor]. It asks the worker.
func (x *Executor) Stats(ctx context.Context) (transport.Stats, error) {
	for attempt := 1; ; attempt++ {
		var m wirepb.Stats
		c, err := x.connection(ctx)
		if err != nil {
			return transport.Stats{}, err
		}
		err = c.call(ctx, &request{typ: wire.TypeStats, answer: &m})
		if err == nil {
			st := statsOf(&m)
			return st, x.addProfiles(ctx, &st)
		}
		if !x.again(ctx, c, attempt) {
			return transport.Stats{}, err
		}
	}
}

// NewSession implements [transport.Executor].
func (x *Executor) NewSession(ctx context.Context) (transport.Session, error) {
	s := newSession(x, x.number())
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sessions[s] = struct{}{}
	return s, nil
}

func (x *Executor) forget(s *session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.sessions, s)
}

// goodbye is how long closing waits for the worker to free the sessions, which
// it otherwise holds until their leases expire.
const goodbye = time.Second

// Close implements [transport.Executor]: sessions are closed, and the connection
// is dropped.
func (x *Executor) Close() error {
	c, open := x.ends() // no call waits for the goodbye
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range open {
		if s.on(c) {
			wg.Go(func() {
				_ = c.call(ctx, &request{typ: wire.TypeCloseSession, control: &wirepb.CloseSession{Session: s.num}})
			})
		}
	}
	wg.Wait()
	c.close()
	x.wg.Wait()
	return nil
}

// again reports whether a request whose connection c was lost is to be retried
// on another one.
func (x *Executor) again(ctx context.Context, c *Client, attempt int) bool {
	if !x.retry.on() || ctx.Err() != nil || c.lives() || attempt >= maxAttempts {
		return false
	}
	return !errors.Is(c.failure(), transport.ErrClosed) && !permanent(c.failure())
}

// closedError is the error of calls after Close.
func (x *Executor) closedError() error {
	return fmt.Errorf("%w: executor %s", transport.ErrClosed, x.cfg.Addr)
}

// number is the number of the next session.
func (x *Executor) number() uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lastSess++
	return x.lastSess
}

// ends closes the executor for calls. It returns the current connection, and
// the sessions that would outlive it.
func (x *Executor) ends() (c *Client, open []*session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	x.cancel()
	for s := range x.sessions {
		s.end(x.closedError())
		if s.key != nil {
			open = append(open, s)
		}
	}
	clear(x.sessions)
	return x.cur, open
}
