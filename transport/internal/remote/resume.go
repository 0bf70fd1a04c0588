package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// keyLen is the length of a session's secret, in bytes.
const keyLen = 32

// corruptAttempts bounds how often a request is sent whose bytes, or those of
// its answer, arrive damaged over a working connection.
const corruptAttempts = 4

// open opens the session on the worker. If connections are restored it gets a
// key, with which another connection can resume it.
func (s *session) open(ctx context.Context) error {
	m := &wirepb.OpenSession{Session: s.num}
	if s.x.retry.on() {
		s.key = make([]byte, keyLen)
		_, _ = rand.Read(s.key) // never fails
		m.Key = s.key
	}
	begin, wait := time.Now(), waits()
	lost := s.x.lostNow()
	for attempt := 1; ; attempt++ {
		joining, joined := s.x.reconnecting(ctx, s.num, lost)
		c, err := s.x.connection(joining)
		joined(err)
		if err != nil {
			return err
		}
		if err = c.call(ctx, &request{typ: wire.TypeOpenSession, control: m}); err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.c = c
			return nil
		}
		if leaving(err) && time.Since(begin) < s.x.retry.Max && s.x.retry.sleep(ctx, wait.NextBackOff()) == nil {
			continue // until it is gone, and another one replaces it
		}
		if !s.x.again(ctx, c, attempt) {
			return err
		}
		lost = s.x.lostTo(c)
	}
}

// on reports whether the session is on c, and c is alive.
func (s *session) on(c *Client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.c == c && c.lives()
}

// connection is a connection with the session on it: the current one, or
// another one on which it resumes.
func (s *session) connection(ctx context.Context) (*Client, error) {
	s.mu.Lock()
	c, lost := s.c, s.lost
	s.mu.Unlock()
	switch {
	case lost != nil:
		return nil, lost
	case c.lives() || !s.x.retry.on():
		return c, nil
	}
	select { // one at a time
	case <-s.joined:
		defer func() { s.joined <- struct{}{} }()
	case <-ctx.Done():
		return nil, fmt.Errorf("joining a session on %s: %w", s.x.cfg.Addr, ctxError(ctx))
	}
	s.mu.Lock()
	old, lost := s.c, s.lost
	s.mu.Unlock()
	if lost != nil {
		return nil, lost
	}
	c, err := s.x.connection(ctx)
	if err != nil || c == old {
		return c, err
	}
	err = s.join(ctx, c, old)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.c = c
	case errors.Is(err, transport.ErrSessionLost):
		s.lost = err
	}
	return c, err
}

// join resumes the session on c.
func (s *session) join(ctx context.Context, c, old *Client) error {
	if c.hello.GetEpoch() != old.hello.GetEpoch() {
		return fmt.Errorf("%w: the worker at %s is another one than before", transport.ErrSessionLost, s.x.cfg.Addr)
	}
	err := c.call(ctx, &request{
		typ: wire.TypeOpenSession, control: &wirepb.OpenSession{Session: s.num, Key: s.key, Resume: true},
	})
	again := s.toRelease()
	if err != nil || len(again) == 0 {
		return err
	}
	return c.call(ctx, &request{
		typ: wire.TypeRelease, control: &wirepb.Release{Session: s.num, Handles: again}, oneWay: true,
	})
}

// call makes a request of the session, which ends with the session.
func (s *session) call(ctx context.Context, r *request) error {
	ctx, done := s.during(ctx)
	defer done()
	if ctx.Err() != nil {
		return fmt.Errorf("%v on %s: %w", r.typ, s.x.cfg.Addr, ctxError(ctx))
	}
	err := s.request(ctx, r)
	if err != nil && s.life.Err() != nil && !errors.Is(err, transport.ErrClosed) { // the worker was faster to say so
		err = fmt.Errorf("%w: %w", context.Cause(s.life), err)
	}
	return err
}

// request makes a request. One whose connection is lost is made again under its
// number, so that it is done once.
func (s *session) request(ctx context.Context, r *request) error {
	if s.key == nil {
		c, err := s.connection(ctx)
		if err != nil {
			return err
		}
		r.on.Store(c)
		return c.call(ctx, r)
	}
	ordered := r.order != nil
	if ordered {
		select {
		case <-s.order:
			defer func() { s.order <- struct{}{} }()
		case <-ctx.Done():
			return fmt.Errorf("%v on %s: %w", r.typ, s.x.cfg.Addr, ctxError(ctx))
		}
		r.order = nil
	}
	if r.number != nil {
		s.seq++
		r.number(s.seq)
	}
	lost := s.lostNow()
	for attempt := 1; ; attempt++ {
		joining, joined := s.x.reconnecting(ctx, s.num, lost)
		c, err := s.connection(joining)
		joined(err)
		if err == nil {
			if attempt > 1 {
				r.renew()
			}
			r.on.Store(c)
			err = c.call(ctx, r)
		}
		if err == nil && !r.oneWay && ordered {
			s.settle()
		}
		if err == nil || c == nil || !s.again(ctx, c, r, err, attempt) {
			return s.verdict(r, c, err, attempt)
		}
		lost = s.x.lostTo(c)
	}
}

// renew makes a request as it was before its last attempt. It is called when there
// is a connection for the next one: the goroutine that received on the one before
// has ended by then, and writes to the answer no more.
func (r *request) renew() {
	if r.again != nil {
		r.again()
	}
	if r.answer != nil {
		proto.Reset(r.answer)
	}
}

// settle records that the worker has done everything sent so far.
func (s *session) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = s.released[:0]
}

// again reports whether a request that failed on c is to be retried.
func (s *session) again(ctx context.Context, c *Client, r *request, err error, attempt int) bool {
	if r.loop != nil && r.loop.began() {
		return false
	}
	if errors.Is(err, memory.ErrFault) {
		return false // a local file is at fault, which a retry does not cure
	}
	if errors.Is(err, transport.ErrCorrupt) && c.lives() && attempt < corruptAttempts && ctx.Err() == nil {
		return true
	}
	return !errors.Is(err, transport.ErrSessionLost) && s.x.again(ctx, c, attempt)
}

// verdict is the result of a request.
func (s *session) verdict(r *request, c *Client, err error, attempt int) error {
	switch {
	case r.named && errors.Is(err, transport.ErrSessionLost):
		return fmt.Errorf("%w: %w", transport.ErrStaleHandle, err)
	case err == nil || errors.Is(err, transport.ErrSessionLost):
		return err
	case attempt > 1 && errors.Is(err, transport.ErrState):
		return fmt.Errorf("%w: %w", transport.ErrSessionLost, err)
	case r.loop != nil && r.loop.began() && c != nil && (!c.lives() || errors.Is(err, transport.ErrCorrupt)):
		return fmt.Errorf("%w: a loop was cut off: %w", transport.ErrSessionLost, err)
	}
	return err
}

// lostNow is why the current connection is lost; nil while it lives.
func (x *Executor) lostNow() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lostTo(x.cur)
}

// lostNow is why the session's connection is lost; nil while it lives.
func (s *session) lostNow() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.x.lostTo(s.c)
}

// toRelease are the values whose release the worker may not know of.
func (s *session) toRelease() []*wirepb.Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.released)
}
