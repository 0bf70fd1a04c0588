package fleet

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/genie-sdk/go/fleet/route"
)

// MaxWorkers is the most workers of a directory that a follower takes.
const MaxWorkers = MaxEntries / 2

// FollowOptions configure [Follow]. Zero values mean the defaults.
type FollowOptions struct {
	// Log is told of entries that are left out and of a directory that is gone; it
	// discards when nil.
	Log *slog.Logger
	// Table bounds what is remembered; at most [MaxWorkers] workers.
	Table route.TableOptions
	// Now is the clock; [time.Now] when nil.
	Now func() time.Time
}

// Follower keeps a table of a directory's workers. It is safe for concurrent use.
type Follower struct {
	o      FollowOptions
	watch  Watch
	cancel context.CancelFunc
	done   chan struct{}
	ready  chan struct{} // closed after the first Synced

	mu      sync.Mutex
	table   *route.Table
	members map[string]*followed
	lost    bool
	refused int
	failed  error         // of the watch; final
	changed chan struct{} // closed and replaced with every change of who is there
}

// followed is a worker of the directory.
type followed struct {
	facts   Facts
	lease   time.Duration
	renewed time.Time
	known   bool // facts, not filters alone

	weights, prefixes *route.Filter
}

// Status is a worker as a follower sees it.
type Status struct {
	Facts

	Age   time.Duration // since its entry was renewed
	Stale bool          // its lease is over, while the directory cannot be reached
}

// Follow watches a directory, and returns when everything that it holds is in the
// table. The directory stays the caller's.
func Follow(ctx context.Context, dir Directory, o FollowOptions) (*Follower, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Table.Workers <= 0 || o.Table.Workers > MaxWorkers {
		o.Table.Workers = MaxWorkers
	}
	w, err := dir.Watch(ctx)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.Background())
	f := &Follower{
		o: o, watch: w, cancel: cancel, done: make(chan struct{}), ready: make(chan struct{}),
		table: route.NewTable(o.Table), members: map[string]*followed{}, changed: make(chan struct{}),
	}
	go f.follow(life)
	select {
	case <-f.ready:
		return f, nil
	case <-f.done:
		_ = f.Close()
		return nil, fmt.Errorf("%w: %w", ErrDirectory, f.failed)
	case <-ctx.Done():
		_ = f.Close()
		return nil, fmt.Errorf("%w: %w", ErrDirectory, context.Cause(ctx))
	}
}

// follow takes the changes until ctx ends.
func (f *Follower) follow(ctx context.Context) {
	defer close(f.done)
	synced := false
	for {
		next, cancel := context.WithTimeout(ctx, f.untilExpiry())
		c, err := f.watch.Next(next)
		over := next.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err != nil && !over:
			f.ends(err)
			return
		case err == nil:
			f.take(c)
			if c.Kind == Synced && !synced {
				synced = true
				close(f.ready)
			}
		}
		f.expire()
	}
}

func (f *Follower) ends(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost, f.failed = true, err
}

// take applies a change.
func (f *Follower) take(c Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch c.Kind {
	case Lost:
		if !f.lost {
			f.o.Log.Warn("the directory is gone; the last table stays", "workers", f.table.Len())
		}
		f.lost = true
	case Synced:
		f.lost = false
		for _, m := range f.members { // who is there no longer renews nothing from now on
			m.renewed = f.o.Now()
		}
	case Deleted:
		if id, ok := strings.CutPrefix(c.Key, factsPrefix); ok {
			f.remove(id)
		}
	case Written:
		if err := f.written(c); err != nil {
			f.refused++
			f.o.Log.Warn("an entry of the directory is left out", "entry", c.Key, "error", err)
		}
	}
}

func (f *Follower) remove(id string) {
	if m := f.members[id]; m != nil && m.known {
		f.table.Remove(id)
		f.announce()
	}
	delete(f.members, id)
}

// announce tells those who wait that somebody came or went.
func (f *Follower) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Follower) written(c Change) error {
	id, isFacts := strings.CutPrefix(c.Key, factsPrefix)
	if !isFacts {
		var ok bool
		if id, ok = strings.CutPrefix(c.Key, heldPrefix); !ok {
			return fmt.Errorf("%w: the name %q", ErrEntry, c.Key)
		}
	}
	m := f.members[id]
	if m == nil {
		if len(f.members) >= f.o.Table.Workers {
			return fmt.Errorf("%w: more than %d workers", ErrEntry, f.o.Table.Workers)
		}
		m = &followed{renewed: f.o.Now(), lease: DefaultLease}
	}
	if err := f.read(m, id, isFacts, c.Value); err != nil {
		return err
	}
	f.members[id] = m
	if !m.known {
		return nil
	}
	m.facts.Weights, m.facts.Prefixes = m.weights, m.prefixes
	_, there := f.table.Find(id)
	if err := f.table.Put(m.facts.Worker, f.o.Now()); err != nil {
		delete(f.members, id)
		return err
	}
	if !there {
		f.announce()
	}
	return nil
}

// read reads an entry of a worker.
func (f *Follower) read(m *followed, id string, isFacts bool, data []byte) error {
	if !isFacts {
		weights, prefixes, err := decodeHeld(data)
		if err == nil {
			m.weights, m.prefixes = weights, prefixes
		}
		return err
	}
	facts, lease, err := decodeFacts(id, data)
	if err != nil {
		return err
	}
	if i, ok := f.table.Find(id); ok { // what this client measured
		facts.Link = f.table.At(i).Link
	}
	m.facts, m.lease, m.renewed, m.known = facts, lease, f.o.Now(), true
	return nil
}

// untilExpiry is the time until the next lease may end.
func (f *Follower) untilExpiry() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	soonest := time.Minute
	for _, m := range f.members {
		soonest = min(soonest, m.lease-f.o.Now().Sub(m.renewed))
	}
	return max(soonest, 50*time.Millisecond)
}

// expire removes workers whose lease is over, unless the directory is gone.
func (f *Follower) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost {
		return
	}
	for id, m := range f.members {
		if f.o.Now().Sub(m.renewed) > m.lease {
			f.remove(id)
		}
	}
}

// Route asks a policy where a request goes.
func (f *Follower) Route(p route.Policy, r route.Request) (route.Decision, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return p.Route(f.table, r, f.o.Now())
}

// Table calls do with the table, which it may use until it returns, and the time.
func (f *Follower) Table(do func(t *route.Table, now time.Time)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(f.table, f.o.Now())
}

// Changed is closed when a worker comes or goes.
func (f *Follower) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// Workers lists the workers, by address.
func (f *Follower) Workers() []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Status, 0, len(f.members))
	for _, m := range f.members {
		if m.known {
			age := f.o.Now().Sub(m.renewed)
			out = append(out, Status{Facts: m.facts, Age: age, Stale: age > m.lease})
		}
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), strings.Compare(a.ID, b.ID))
	})
	return out
}

// Lost reports whether the directory cannot be reached now.
func (f *Follower) Lost() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// Refused is how many entries were left out because they cannot be.
func (f *Follower) Refused() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

// Close ends the watch.
func (f *Follower) Close() error {
	f.cancel()
	err := f.watch.Close()
	<-f.done
	return err
}
