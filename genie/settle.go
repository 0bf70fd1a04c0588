package genie

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
)

// open opens a session's half on an executor: in a fleet, on the worker that suits
// what the session runs.
func (c *Client) open(ctx context.Context, h *home) (transport.Session, error) {
	if m := c.workers.fleet; m != nil {
		return m.session(ctx, h)
	}
	return c.workers.session(ctx)
}

// depart notes that the session's half on an executor is closed.
func (s *Session) depart(cause error) {
	m := s.c.workers.fleet
	if m == nil {
		return
	}
	if cause != nil && !errors.Is(cause, errMoves) {
		m.lost(&s.home)
	}
	m.left(&s.home)
}

// rebuiltLevel is how much a rebuilt session is worth saying.
func rebuiltLevel(cause error) slog.Level {
	if errors.Is(cause, errMoves) {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// errMoves is why a session leaves a worker that could still serve it.
var errMoves = fmt.Errorf("%w: the session moves to another worker", transport.ErrSessionLost)

// settle places the session in a fleet when it is known what it runs: NewSession does
// not know. A session that has state stays where that is; one without leaves a worker
// that drains. The caller has the turn.
func (s *Session) settle(ctx context.Context, l *loop) error {
	m := s.c.workers.fleet
	switch {
	case m == nil:
		return nil
	case s.states.ran:
		if s.drains() && !s.retains {
			return s.moveAway(ctx)
		}
		return nil
	}
	if s.home.settled {
		if s.drains() {
			return s.rebuild(ctx, errMoves)
		}
		return nil
	}
	s.home.settled = true
	s.home.r.Model = l.p.model()
	s.home.r.Tokens = max(s.home.r.Tokens, 1)
	stays, err := m.reroute(&s.home)
	switch {
	case stays || errors.Is(err, route.ErrNoWorker): // there is no other
		return nil
	case err != nil:
		return err
	}
	return s.rebuild(ctx, errMoves)
}

// startsOver moves a session away from a worker that drains, when its state is about
// to be forgotten anyway, and notes what it is going to generate. The caller has the
// turn.
func (s *Session) startsOver(ctx context.Context, tokens, expected int) error {
	if s.c.workers.fleet == nil {
		return nil
	}
	s.home.r.Tokens, s.home.r.Expected = tokens, expected
	if s.lost == nil && s.drains() {
		return s.restart(ctx, errMoves)
	}
	return nil
}

// drains reports whether the session's worker takes no new ones.
func (s *Session) drains() (yes bool) {
	m := s.c.workers.fleet
	if m == nil {
		return false
	}
	id := m.at(&s.home).d.Worker
	m.f.Table(func(t *route.Table, _ time.Time) {
		i, ok := t.Find(id)
		yes = ok && t.At(i).Draining
	})
	return yes
}

// model is what routing knows of a program: its weights by content. The work of a
// token is that of reading each weight once and multiplying it, which is what models
// that a fleet serves by the token do.
func (p *program) model() *route.Model {
	m := &route.Model{}
	key := sha256.New()
	for _, t := range p.graph.Tensors() {
		if t.Kind() != lazy.KindWeight {
			continue
		}
		h, _ := t.WeightRef()
		w, err := p.graph.Weight(h)
		if err != nil { // said where it is used
			continue
		}
		key.Write(h[:])
		size := int64(len(w.Data))
		m.Weights = append(m.Weights, route.Weight{Key: route.KeyOf(h), Size: size})
		m.Bytes += size
		m.FLOPs += 2 * float64(size) / float64(max(w.Storage.Size(), 1))
	}
	key.Sum(m.Key[:0])
	return m
}

// progress is the client's progress of weights. In a fleet it also notices a worker
// that lacks most of the weights that its facts say it holds.
func (s *Session) progress() transport.Progress {
	given, m := s.c.opts.progress, s.c.workers.fleet
	if m == nil || !s.home.settled || s.home.r.Model == nil {
		return given
	}
	at, bytes := m.at(&s.home), s.home.r.Model.Bytes
	if at.d.Reason != route.ByWeights {
		return given
	}
	return func(done, total int64) {
		if total > bytes/2 {
			m.f.Table(func(t *route.Table, now time.Time) { t.Distrust(at.d.Worker, now.Add(distrustTime)) })
		}
		if given != nil {
			given(done, total)
		}
	}
}
