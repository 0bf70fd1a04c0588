package remote

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// longestPause bounds the time between two attempts.
const longestPause = 30 * time.Second

// call makes a request. If the client is configured so, it retries a request
// that an overloaded worker refused, and so did no part of, as long as the next
// attempt is within the time of ctx.
func (c *Client) call(ctx context.Context, r *request) error {
	for attempt := 0; ; attempt++ {
		err := c.once(ctx, r)
		over, ok := errors.AsType[*transport.OverloadError](err)
		if !ok || !c.cfg.RetryOverloaded {
			return err
		}
		d := pause(over.RetryAfter, attempt)
		if end, bounded := ctx.Deadline(); bounded && time.Until(end) <= d {
			return err
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return c.cancelled(ctx, r)
		case <-c.dead:
			t.Stop()
			return c.failure()
		}
	}
}

// pause is the time before the next attempt: the worker's hint, doubled each
// time that it was too short, and up to half of it more, so that requests
// refused together do not return together.
func pause(hint time.Duration, attempt int) time.Duration {
	d := max(hint, time.Millisecond)
	for range attempt {
		if d *= 2; d >= longestPause {
			break
		}
	}
	d = min(d, longestPause)
	return d + rand.N(d/2) //nolint:gosec // it only spreads attempts
}

// tellDeadline puts the remaining time of ctx into a request, rounded up so
// that the worker does not give up before the client.
func tellDeadline(ctx context.Context, m proto.Message) {
	end, ok := ctx.Deadline()
	if !ok {
		return
	}
	left := max(uint64(max(time.Until(end), 0)+time.Millisecond-1)/uint64(time.Millisecond), 1)
	switch m := m.(type) {
	case *wirepb.Run:
		m.DeadlineMs = left
	case *wirepb.Loop:
		m.Run.DeadlineMs = left
	case *wirepb.Prepare:
		m.DeadlineMs = left
	case *wirepb.Prove:
		m.DeadlineMs = left
	case *wirepb.Read:
		m.DeadlineMs = left
	case *wirepb.Reset:
		m.DeadlineMs = left
	case *wirepb.Ticket:
		m.DeadlineMs = left
	case *wirepb.Send:
		m.DeadlineMs = left
	case *wirepb.Deliver:
		m.DeadlineMs = left
	}
}
