package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// JoinOptions configure [Join]. Zero values mean the defaults.
type JoinOptions struct {
	// Lease is how long a worker that fell silent counts as there; [DefaultLease]
	// when 0.
	Lease time.Duration
	// Log is told of a directory that cannot be reached; it discards when nil.
	Log *slog.Logger
}

// Member is a worker's place in a directory. It renews its entries until Leave.
type Member struct {
	dir    Directory
	id     string
	o      JoinOptions
	facts  func() Facts
	cancel context.CancelFunc
	done   chan struct{}
	say    chan struct{} // facts changed

	mu       sync.Mutex
	draining bool
}

// Join registers a worker. facts gives what it says of itself, from one goroutine;
// their ID is set by Join. The directory need not be there: Join returns at once, and
// the worker is registered as soon as it can be.
func Join(dir Directory, facts func() Facts, o JoinOptions) *Member {
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	o.Lease = min(max(o.Lease, minLease), maxLease)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var id [12]byte
	_, _ = rand.Read(id[:]) // never fails
	ctx, cancel := context.WithCancel(context.Background())
	m := &Member{
		dir: dir, id: hex.EncodeToString(id[:]), o: o, facts: facts, cancel: cancel, done: make(chan struct{}), say: make(chan struct{}, 1),
	}
	go m.renew(ctx)
	return m
}

// ID is the worker's name in the directory.
func (m *Member) ID() string { return m.id }

// Drain says that the worker takes no new sessions.
func (m *Member) Drain() {
	m.drains()
	m.Changed()
}

func (m *Member) drains() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draining = true
}

func (m *Member) isDraining() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.draining
}

// Changed says that the facts have changed so that the directory should know at once.
func (m *Member) Changed() {
	select {
	case m.say <- struct{}{}:
	default:
	}
}

// renew writes the entries until ctx ends.
func (m *Member) renew(ctx context.Context) {
	defer close(m.done)
	retry := &backoff.ExponentialBackOff{
		InitialInterval: 50 * time.Millisecond, RandomizationFactor: .5, Multiplier: 2, MaxInterval: m.o.Lease / 3,
	}
	w := writing{m: m}
	failing := false
	for said := false; ; {
		wait := m.o.Lease / 3
		switch err := w.write(ctx, said); {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !failing {
				m.o.Log.Warn("the directory cannot be reached; clients that know this worker still do", "error", err)
			}
			failing, wait, w = true, retry.NextBackOff(), writing{m: m}
		case failing:
			m.o.Log.Info("the directory can be reached again")
			failing = false
			fallthrough
		default:
			retry.Reset()
		}
		t := time.NewTimer(wait)
		said = false
		select {
		case <-t.C:
		case <-m.say:
			said = true
			t.Stop()
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// writing is what was written last.
type writing struct {
	m    *Member
	held []byte
	at   time.Time // when held was written
}

// write writes the facts, and the filters before their lease ends. Filters that
// changed are written at once when somebody said so, and otherwise not more often than
// twice in a lease: they are large, and every client reads them.
func (w *writing) write(ctx context.Context, said bool) error {
	m := w.m
	f := m.facts()
	f.ID = m.id
	f.Draining = f.Draining || m.isDraining()
	if err := f.Check(); err != nil {
		return err
	}
	facts, held, err := f.encode(m.o.Lease)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, m.o.Lease)
	defer cancel()
	since := time.Since(w.at)
	changed := !bytes.Equal(held, w.held) && (said || since > m.o.Lease/2)
	if w.at.IsZero() || since > 2*m.o.Lease || changed {
		if err := m.dir.Put(ctx, heldPrefix+m.id, held, 4*m.o.Lease); err != nil {
			return err
		}
		w.held, w.at = held, time.Now()
	}
	return m.dir.Put(ctx, factsPrefix+m.id, facts, m.o.Lease)
}

// Leave removes the worker from the directory. Where the directory cannot be reached
// before ctx ends, followers notice when its lease ends.
func (m *Member) Leave(ctx context.Context) error {
	m.cancel()
	select {
	case <-m.done:
	case <-ctx.Done():
		return fmt.Errorf("genie: leaving the directory: %w", context.Cause(ctx))
	}
	if err := m.dir.Delete(ctx, factsPrefix+m.id); err != nil {
		return err
	}
	return m.dir.Delete(ctx, heldPrefix+m.id)
}
