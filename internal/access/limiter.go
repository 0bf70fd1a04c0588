package access

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/genie-sdk/go/internal/connlimit"
)

// The limits of failed attempts to authenticate.
const (
	FailedBurst    = 10               // from one address at once
	FailedInterval = 10 * time.Second // between further failures
	FailedDelay    = time.Second      // before an attempt over the limit is answered
	MaxAddresses   = 4096             // remembered
)

// Limiter slows failed attempts by address, see [connlimit.Network]. It does
// not affect successful attempts: the failures of others lock no client out. It
// is safe for concurrent use.
type Limiter struct {
	now func() time.Time

	mu    sync.Mutex
	by    map[netip.Addr]*rate.Limiter
	crowd *rate.Limiter // of the addresses beyond MaxAddresses
}

// NewLimiter makes a limiter; now is the clock, time.Now when nil.
func NewLimiter(now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{now: now, by: map[netip.Addr]*rate.Limiter{}, crowd: newRate()}
}

func newRate() *rate.Limiter { return rate.NewLimiter(rate.Every(FailedInterval), FailedBurst) }

// failed counts a failed attempt and reports whether it is over the limit.
func (l *Limiter) failed(from string) (tooMany bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, key := l.now(), connlimit.Network(from)
	r := l.by[key]
	if r == nil && len(l.by) >= MaxAddresses {
		l.forget(now)
	}
	if r == nil && len(l.by) < MaxAddresses {
		r = newRate()
		l.by[key] = r
	}
	if r == nil {
		r = l.crowd
	}
	return !r.AllowN(now, 1)
}

// forget drops the addresses without recent failures.
func (l *Limiter) forget(now time.Time) {
	for key, r := range l.by {
		if r.TokensAt(now) >= FailedBurst {
			delete(l.by, key)
		}
	}
}
