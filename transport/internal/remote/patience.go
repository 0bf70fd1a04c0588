package remote

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/genie-sdk/go/transport"
)

// longestPatience bounds how long a plan waits for the worker to have memory for
// its weights.
const longestPatience = 15 * time.Second

// patience is how a plan whose weights do not fit waits for others to give their
// memory back: clients that start together need it twice for a moment, as what
// they upload is the same.
type patience struct {
	retry Retry
	until time.Time
	wait  *backoff.ExponentialBackOff
}

func (r Retry) patience() *patience {
	if !r.on() {
		return &patience{}
	}
	return &patience{retry: r, until: time.Now().Add(min(r.Max, longestPatience)), wait: waits()}
}

// again waits before the next attempt and reports whether there is to be one:
// the worker lacked memory, has it when it is idle, and it is not too late.
func (p *patience) again(ctx context.Context, err error) bool {
	short, ok := errors.AsType[*transport.MemoryError](err)
	if !ok || p.wait == nil || short.Limit > 0 && short.Need > short.Limit {
		return false
	}
	d := p.wait.NextBackOff()
	if time.Now().Add(d).After(p.until) {
		return false
	}
	return p.retry.sleep(ctx, d) == nil
}
