package worker

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/genie-sdk/go/internal/admission"
)

// prepareTurn is how long a Prepare that loads weights computes while others
// wait for their turn.
const prepareTurn = 5 * time.Millisecond

// schedulerTurn is how long a Prepare computes before goroutines that receive
// and send go first.
const schedulerTurn = time.Millisecond

// preparing is a Prepare's turn.
type preparing struct {
	flow   *admission.Flow
	ticket *admission.Ticket
	since  time.Time // of the turn
	let    time.Time // when other goroutines last could go first
}

// placeOf takes a place in the queue of Prepares.
func (s *session) placeOf(r *preparation) (err error) {
	r.place, err = join(s.waiting, s.srv.admit.waiting, "plans to be prepared")
	return err
}

// turn waits until it is the session's turn to prepare a plan. The turn lasts
// until leave.
func (r *preparation) turn(ctx context.Context) error {
	t, err := r.s.prepares.Enter(ctx, nil)
	if err != nil {
		return err
	}
	r.place.Begin()
	now := time.Now()
	r.turns = preparing{flow: r.s.prepares, ticket: t, since: now, let: now}
	return nil
}

func (p *preparing) leave() {
	if p.ticket != nil {
		p.ticket.Leave()
	}
}

// goOn is called now and then while a plan is read and compiled. It reports
// whether the caller is still connected, and lets goroutines that receive and
// send go first. It keeps the turn, because a half-compiled plan is memory that
// is not counted.
func (p *preparing) goOn(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("genie: stopped while a plan was prepared: %w", context.Cause(ctx))
	}
	if now := time.Now(); now.Sub(p.let) >= schedulerTurn {
		runtime.Gosched()
		p.let = now
	}
	return nil
}

// share is goOn at a point where nothing is half done: after its time it passes
// the turn on and waits for another.
func (p *preparing) share(ctx context.Context) error {
	if err := p.goOn(ctx); err != nil || time.Since(p.since) < prepareTurn {
		return err
	}
	p.leave()
	return p.again(ctx)
}

// again waits for another turn after leave.
func (p *preparing) again(ctx context.Context) error {
	t, err := p.flow.Enter(ctx, nil)
	if p.ticket = t; err != nil {
		return err
	}
	p.since = time.Now()
	return nil
}
