package remote

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/genie-sdk/go/transport"
)

// longestPatience bounds how long a plan waits until the worker has memory for
// its weights.
const longestPatience = 15 * time.Second

// patience is the wait of a plan whose weights do not fit: clients that start
// together need memory twice for a short time, because they upload the same
// content.
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

// again waits before the next attempt and reports whether to make one: the
// worker lacked memory, has enough when it is idle, and there is time left.
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
