package main

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Balancer is an executor that opens each session on the backend with the fewest
// open ones. It is safe for concurrent use and owns its backends.
type Balancer struct {
	mu       sync.Mutex
	backends []*backend

	ledger transport.Ledger
	// counted is the state of the backends' ledgers when they were last added
	// to ledger.
	counted []transport.Snapshot
}

// backend is one executor and its counters, under the balancer's lock.
type backend struct {
	exec   transport.Executor
	open   int // sessions, including those being opened
	counts Counts
}

// Counts is the work of a backend.
type Counts struct {
	Sessions, Prepared, Runs, Loops, Failed int
	Time                                    time.Duration // of runs and loops, transfers included
}

var _ transport.Executor = (*Balancer)(nil)

// New makes an executor from one or more others.
func New(backends ...transport.Executor) *Balancer {
	b := &Balancer{counted: make([]transport.Snapshot, len(backends))}
	for _, ex := range backends {
		b.backends = append(b.backends, &backend{exec: ex})
	}
	return b
}

// NewSession opens a session on the backend with the fewest sessions or, if
// that is unreachable or full, on the next one.
func (b *Balancer) NewSession(ctx context.Context) (transport.Session, error) {
	var tried []*backend
	var failed []error
	for {
		at := b.take(tried)
		if at == nil {
			return nil, errors.Join(failed...)
		}
		inner, err := at.exec.NewSession(ctx)
		if err == nil {
			b.count(at, func(c *Counts) { c.Sessions++ })
			return wrap(inner, &session{Session: inner, b: b, at: at}), nil
		}
		b.give(at)
		failed = append(failed, err)
		if ctx.Err() != nil || !elsewhere(err) {
			return nil, errors.Join(failed...)
		}
		tried = append(tried, at)
	}
}

// elsewhere reports whether another backend may do better.
func elsewhere(err error) bool {
	return slices.ContainsFunc([]error{
		transport.ErrUnreachable, transport.ErrOverloaded, transport.ErrMemory, transport.ErrQuota,
	}, func(cause error) bool { return errors.Is(err, cause) })
}

// take counts a session on the untried backend with the fewest sessions; nil if
// there is none.
func (b *Balancer) take(tried []*backend) *backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	var best *backend
	for _, x := range b.backends {
		if !slices.Contains(tried, x) && (best == nil || x.open < best.open) {
			best = x
		}
	}
	if best != nil {
		best.open++
	}
	return best
}

func (b *Balancer) give(at *backend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at.open--
}

func (b *Balancer) count(at *backend, add func(*Counts)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	add(&at.counts)
}

// Counts is the work of each backend, in their order.
func (b *Balancer) Counts() []Counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Counts, len(b.backends))
	for i, x := range b.backends {
		all[i] = x.counts
	}
	return all
}

// Ledger is the sum of the backends' ledgers at the time of the call. It asks
// the backends without holding the lock, since their implementation is unknown
// here.
func (b *Balancer) Ledger() *transport.Ledger {
	now := make([]transport.Snapshot, len(b.backends))
	for i, x := range b.backends {
		now[i] = x.exec.Ledger().Snapshot()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range now {
		// Of two concurrent calls the older may finish last: it subtracts what
		// the other one added, and the next call adds it again.
		more := now[i].Sub(b.counted[i])
		b.counted[i] = now[i]
		for cause := range more.Sent {
			b.ledger.AddSent(plan.Cause(cause), int(more.Sent[cause]))
			b.ledger.AddReceived(plan.Cause(cause), int(more.Received[cause]))
		}
		b.ledger.AddSocket(int(more.SocketSent), int(more.SocketReceived))
		b.ledger.AddRoundTrips(more.RoundTrips)
	}
	return &b.ledger
}

// Stats is the sum of the backends' statistics; the process and the kernels are
// those of the first one, and profiles are listed one after the other. It fails if one backend cannot be asked.
func (b *Balancer) Stats(ctx context.Context) (transport.Stats, error) {
	var sum transport.Stats
	for i, x := range b.backends {
		st, err := x.exec.Stats(ctx)
		if err != nil {
			return transport.Stats{}, err
		}
		if i == 0 {
			sum.PID, sum.CPU = st.PID, st.CPU
		}
		addInts(&sum, st)
		sum.Profiles = append(sum.Profiles, st.Profiles...)
		if sum.Kernels == nil {
			sum.Kernels = maps.Clone(st.Kernels)
			continue
		}
		for name, d := range st.Kernels {
			sum.Kernels[name] += d
		}
	}
	return sum, nil
}

// addInts adds every counter, including those of later versions.
func addInts(sum *transport.Stats, st transport.Stats) {
	to, from := reflect.ValueOf(sum).Elem(), reflect.ValueOf(st)
	for i := range to.NumField() {
		if f := to.Field(i); f.Kind() == reflect.Int64 {
			f.SetInt(f.Int() + from.Field(i).Int())
		}
	}
}

// Close closes the backends.
func (b *Balancer) Close() error {
	var errs []error
	for _, x := range b.backends {
		errs = append(errs, x.exec.Close())
	}
	return errors.Join(errs...)
}
