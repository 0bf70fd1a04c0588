package access

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The limits of failed attempts to authenticate.
const (
	FailedBurst    = 10               // from one address at once
	FailedInterval = 10 * time.Second // between one more and the next
	MaxAddresses   = 4096             // remembered
)

// Limiter bounds failed attempts by address. The addresses of an IPv6 network of
// 64 bits count as one, since a single client has them all. It is safe for
// concurrent use.
type Limiter struct {
	now func() time.Time

	mu    sync.Mutex
	by    map[netip.Addr]*rate.Limiter
	crowd *rate.Limiter // of the addresses that there is no room for
}

// NewLimiter makes a limiter; now is the clock, time.Now when nil.
func NewLimiter(now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{now: now, by: map[netip.Addr]*rate.Limiter{}, crowd: newRate()}
}

func newRate() *rate.Limiter { return rate.NewLimiter(rate.Every(FailedInterval), FailedBurst) }

// allowed reports whether the address may try.
func (l *Limiter) allowed(from string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.by[network(from)]
	if r == nil {
		if len(l.by) < MaxAddresses {
			return true
		}
		r = l.crowd
	}
	return r.TokensAt(l.now()) >= 1
}

// failed counts an attempt that failed.
func (l *Limiter) failed(from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, key := l.now(), network(from)
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
	r.AllowN(now, 1)
}

// forget drops the addresses that have not failed for long.
func (l *Limiter) forget(now time.Time) {
	for key, r := range l.by {
		if r.TokensAt(now) >= FailedBurst {
			delete(l.by, key)
		}
	}
}

// network is the address, or network, that an attempt from a peer counts for.
// Peers without an address of the network, such as those of a Unix socket, are
// one.
func network(from string) netip.Addr {
	host, _, err := net.SplitHostPort(from)
	if err != nil {
		host = from
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
