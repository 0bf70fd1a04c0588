package fleet

import (
	"context"
	"fmt"
	"sync"

	"github.com/genie-sdk/go/transport"
)

// Pending is the changes that a watch has yet to show, for implementations of
// [Directory]: of each entry the last one, so that a slow reader costs no more memory
// than the directory has entries. It is safe for concurrent use, and implements
// [Watch].
type Pending struct {
	wake chan struct{}
	stop func()

	mu     sync.Mutex
	closed error
	order  []string // keys in the order of their first change
	last   map[string]Change
	state  *Change // Synced or Lost, after all entries; nil for none
}

// NewPending makes an empty one. stop is called once, by Close.
func NewPending(stop func()) *Pending {
	return &Pending{wake: make(chan struct{}, 1), stop: sync.OnceFunc(stop), last: map[string]Change{}}
}

// Add adds a change. Entries that cannot be, and more than [MaxEntries], are left out.
func (p *Pending) Add(c Change) {
	if c.Kind <= Deleted && CheckEntry(c.Key, c.Value) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Kind > Deleted {
		p.state = &c
	} else {
		if _, ok := p.last[c.Key]; !ok {
			if len(p.order) >= MaxEntries {
				return
			}
			p.order = append(p.order, c.Key)
		}
		p.last[c.Key] = c
	}
	p.signal()
}

// Fail ends the watch with an error, after what is pending.
func (p *Pending) Fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed == nil {
		p.closed = err
	}
	p.signal()
}

func (p *Pending) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Next implements [Watch].
func (p *Pending) Next(ctx context.Context) (Change, error) {
	for {
		c, ok, err := p.take()
		if ok || err != nil {
			return c, err
		}
		select {
		case <-p.wake:
		case <-ctx.Done():
			return Change{}, fmt.Errorf("genie: waiting for the directory: %w", context.Cause(ctx))
		}
	}
}

func (p *Pending) take() (c Change, ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.order) > 0:
		key := p.order[0]
		p.order = p.order[1:]
		c = p.last[key]
		delete(p.last, key)
		return c, true, nil
	case p.state != nil:
		c, p.state = *p.state, nil
		return c, true, nil
	default:
		return Change{}, false, p.closed
	}
}

// Close implements [Watch].
func (p *Pending) Close() error {
	p.stop()
	p.Fail(fmt.Errorf("%w: watch of a directory", transport.ErrClosed))
	return nil
}
