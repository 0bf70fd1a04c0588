package worker

import (
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/transport"
)

// Quota is what one identity may have at one time, over all its connections.
// Zero means no limit.
type Quota struct {
	Sessions int64 // open
	Plans    int64 // prepared, in all sessions
	Calls    int64 // runs and loops that wait or run
	Bytes    int64 // of memory: all that is not shared, and the plans that it uses
	// Connections bounds the connections. It replaces the default of half of
	// what others leave.
	Connections int64
}

// tenant is the use of one identity.
type tenant struct {
	identity string
	conns    int // guarded by the lock of tenants

	connections int64 // maximum; 0 for the part of one identity

	sessions, plans, calls, bytes gauge

	mu       sync.Mutex
	programs map[Program]int // used by its sessions, with the number of uses
	known    known
}

// gauge counts one resource of an identity, up to a limit.
type gauge struct {
	what  string
	limit int64 // 0 for none
	used  atomic.Int64
	// reclaim drops what the identity has and does not need, n if there is as
	// much; nil if there is no such thing.
	reclaim func(n int64)
}

// check reports whether n more would exceed the limit.
func (g *gauge) check(n int64) error {
	if used := g.used.Load(); g.limit > 0 && n > g.limit-used {
		return &transport.QuotaError{What: g.what, Limit: g.limit, Used: used, Want: n}
	}
	return nil
}

// take adds n, or returns an error when that would exceed the limit.
func (g *gauge) take(n int64) error {
	err := g.tryTake(n)
	if err == nil || g.reclaim == nil {
		return err
	}
	g.reclaim(n)
	return g.tryTake(n)
}

func (g *gauge) tryTake(n int64) error {
	for {
		used := g.used.Load()
		if g.limit > 0 && n > g.limit-used {
			return &transport.QuotaError{What: g.what, Limit: g.limit, Used: used, Want: n}
		}
		if g.used.CompareAndSwap(used, used+n) {
			return nil
		}
	}
}

func (g *gauge) give(n int64) { g.used.Add(-n) }

// Take and Give make the gauge of bytes a memory budget of an engine's session.
func (g *gauge) Take(n int64) error { return g.take(n) }

// Give is the inverse of Take.
func (g *gauge) Give(n int64) { g.give(n) }

// tenants are the identities with something on this worker.
type tenants struct {
	quota   func(identity string) Quota
	reclaim func(x *tenant, n int64) // drops what an identity does not need
	memory  *budget.Budget

	mu sync.Mutex
	by map[string]*tenant
}

// join is the tenant of a new connection.
func (t *tenants) join(identity string) *tenant {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.by[identity]
	if x == nil {
		t.forget()
		var q Quota
		if t.quota != nil {
			q = t.quota(identity)
		}
		x = &tenant{identity: identity, programs: map[Program]int{}}
		x.connections = q.Connections
		x.sessions.what, x.sessions.limit = "sessions", q.Sessions
		x.plans.what, x.plans.limit = "plans", q.Plans
		x.calls.what, x.calls.limit = "calls", q.Calls
		x.bytes.what, x.bytes.limit = "bytes", q.Bytes
		x.bytes.reclaim = func(n int64) { t.reclaim(x, n) }
		t.by[identity] = x
	}
	x.conns++
	return x
}

// leave ends a connection's part. Its sessions give back theirs when they end.
func (t *tenants) leave(x *tenant) {
	if x == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	x.conns--
}

// forget drops the identities that have nothing.
func (t *tenants) forget() {
	for name, x := range t.by {
		if x.conns == 0 && x.sessions.used.Load()+x.plans.used.Load()+x.calls.used.Load() == 0 && x.bytes.used.Load() == x.remembers() {
			delete(t.by, name)
			x.forgets(t.memory)
		}
	}
}
