package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/genie-sdk/go/transport"
)

// Retry says how a lost connection is restored. The zero Retry does not restore
// it.
type Retry struct {
	// Max bounds the attempts, from when the loss is noticed; for the first
	// connection, from its beginning.
	Max time.Duration
	// Sleep waits between two attempts; nil for the system's clock.
	Sleep func(ctx context.Context, d time.Duration) error
}

func (r Retry) on() bool { return r.Max > 0 }

// The waits between attempts: each about twice as long as the one before, up to
// the cap, and randomised from half to one and a half times of it, so that the
// clients of a restarted worker do not all come at once.
const (
	firstWait  = 20 * time.Millisecond
	longestGap = time.Second
	jitter     = 0.5
)

// maxAttempts bounds how often one request is made: a request that kills each
// connection must end.
const maxAttempts = 32

// attemptTimeout bounds one attempt to connect.
const attemptTimeout = 3 * time.Second

func waits() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: firstWait, RandomizationFactor: jitter, Multiplier: 2, MaxInterval: longestGap,
	}
}

func (r Retry) sleep(ctx context.Context, d time.Duration) error {
	if r.Sleep != nil {
		return r.Sleep(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leaving reports whether err is the answer of a worker that is shutting down.
func leaving(err error) bool {
	_, remote := errors.AsType[*transport.RemoteError](err)
	return remote && errors.Is(err, transport.ErrClosed)
}

// permanent reports whether another attempt would end like this one.
func permanent(err error) bool {
	return errors.Is(err, transport.ErrVersion) || errors.Is(err, transport.ErrUnauthenticated) || errors.Is(err, transport.ErrPermission)
}

// dialling is a connection that is being made. Its result is set when done is
// closed.
type dialling struct {
	done chan struct{}
	c    *Client
	err  error
}

// connection is the connection, restored if needed. All callers wait for the
// same attempt.
func (x *Executor) connection(ctx context.Context) (*Client, error) {
	c, d, err := x.currently()
	if d == nil {
		return c, err
	}
	select {
	case <-d.done:
		return d.c, d.err
	case <-ctx.Done():
		return nil, fmt.Errorf("connecting to %s: %w", x.cfg.Addr, ctxError(ctx))
	}
}

// currently is the connection, or the one that is being made.
func (x *Executor) currently() (*Client, *dialling, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, nil, x.closedError()
	}
	c := x.cur
	if c.lives() || !x.retry.on() {
		return c, nil, nil
	}
	if x.dialling == nil {
		d := &dialling{done: make(chan struct{})}
		x.dialling = d
		x.wg.Go(func() { x.redial(d, c) })
	}
	return nil, x.dialling, nil
}

// redial connects until it succeeds, its time is over or the executor closes.
func (x *Executor) redial(d *dialling, old *Client) {
	old.close() // waits for the goroutines of the lost connection
	d.c, d.err = x.connect(x.ctx, x.retry.Max)
	x.mu.Lock()
	x.dialling = nil
	if d.err == nil {
		x.cur = d.c
	}
	closed := x.closed
	x.mu.Unlock()
	if closed && d.err == nil {
		d.c.close()
		d.c, d.err = nil, x.closedError()
	}
	if d.err == nil {
		x.cfg.Log.Info("connected again", "addr", x.cfg.Addr)
		x.watch(d.c)
	}
	close(d.done)
}

// connect tries to connect for up to limit, or until parent ends: the caller's, or
// the executor's own.
func (x *Executor) connect(parent context.Context, limit time.Duration) (*Client, error) {
	ctx, cancel := context.WithTimeout(parent, limit)
	defer cancel()
	wait := waits()
	for {
		attempt, done := context.WithTimeout(ctx, attemptTimeout)
		c, err := x.dial(attempt)
		done()
		switch {
		case err == nil:
			return c, nil
		case parent.Err() != nil:
			return nil, x.stopped(parent)
		case permanent(err):
			return nil, err
		}
		if x.retry.sleep(ctx, wait.NextBackOff()) != nil {
			if parent.Err() != nil {
				return nil, x.stopped(parent)
			}
			return nil, unreachable(x.cfg.Addr, x.retry.Max, err)
		}
	}
}

// stopped is the error of connecting after parent has ended.
func (x *Executor) stopped(parent context.Context) error {
	if x.ctx.Err() != nil {
		return x.closedError()
	}
	return Describe("connecting", x.cfg.Addr, ctxError(parent))
}

// unreachable is the error after the last attempt.
func unreachable(addr string, tried time.Duration, err error) error {
	if errors.Is(err, transport.ErrUnreachable) {
		return fmt.Errorf("%w (tried for %v)", err, tried)
	}
	return fmt.Errorf("%w: %s: tried for %v: %w", transport.ErrUnreachable, addr, tried, err)
}

// watch restores the connection when c is lost while sessions are open, so that
// sessions whose caller is busy elsewhere do not expire.
func (x *Executor) watch(c *Client) {
	if !x.retry.on() {
		return
	}
	x.wg.Go(func() {
		select {
		case <-c.dead:
		case <-x.ctx.Done():
			return
		}
		for _, s := range x.open() {
			if _, err := s.connection(x.ctx); errors.Is(err, transport.ErrUnreachable) {
				return
			}
		}
	})
}

func (x *Executor) open() []*session {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]*session, 0, len(x.sessions))
	for s := range x.sessions {
		out = append(out, s)
	}
	return out
}
