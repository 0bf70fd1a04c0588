package main

import (
	"context"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// session counts the calls of a backend's session. Everything else, and handles
// and plans, are the backend's own.
type session struct {
	transport.Session

	b      *Balancer
	at     *backend
	closed sync.Once
}

// looping and opening are sessions of backends that can loop. A wrapper that
// always had these methods would promise what its backend may be unable to do;
// one that never had them would turn a generation of n tokens into n round
// trips.
type (
	looping struct {
		*session

		loop transport.Looper
	}
	opening struct {
		looping

		open transport.LoopOpener
	}
)

var (
	_ transport.Looper     = looping{}
	_ transport.LoopOpener = opening{}
)

// wrap adds the loops of inner to s.
func wrap(inner transport.Session, s *session) transport.Session {
	switch inner := inner.(type) {
	case transport.LoopOpener:
		return opening{looping{s, inner}, inner}
	case transport.Looper:
		return looping{s, inner}
	default:
		return s
	}
}

// record counts a call that began at start.
func (s *session) record(start time.Time, err error, add func(*Counts)) {
	took := time.Since(start)
	s.b.count(s.at, func(c *Counts) {
		add(c)
		c.Time += took
		if err != nil {
			c.Failed++
		}
	})
}

func (s *session) Prepare(ctx context.Context, p *plan.Plan, weights transport.WeightSource, progress transport.Progress) (transport.PlanRef, error) {
	ref, err := s.Session.Prepare(ctx, p, weights, progress)
	s.b.count(s.at, func(c *Counts) {
		c.Prepared++
		if err != nil {
			c.Failed++
		}
	})
	return ref, err
}

func (s *session) Run(ctx context.Context, call transport.Call) (transport.Result, error) {
	start := time.Now()
	res, err := s.Session.Run(ctx, call)
	s.record(start, err, func(c *Counts) { c.Runs++ })
	return res, err
}

// Close frees the session's place once, however often it is called.
func (s *session) Close() error {
	defer s.closed.Do(func() { s.b.give(s.at) })
	return s.Session.Close()
}

func (s looping) RunLoop(ctx context.Context, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	start := time.Now()
	err := s.loop.RunLoop(ctx, call, loop, each)
	s.record(start, err, func(c *Counts) { c.Loops++ })
	return err
}

func (s opening) OpenLoop(ctx context.Context, open transport.Opening, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	start := time.Now()
	err := s.open.OpenLoop(ctx, open, call, loop, each)
	s.record(start, err, func(c *Counts) { c.Loops++ })
	return err
}
