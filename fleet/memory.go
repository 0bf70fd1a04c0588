package fleet

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
)

// Memory is a directory in this process, for tests and for programs that start their
// own workers. Its entries stay until they are deleted: followers notice by
// themselves that a lease ended.
type Memory struct {
	mu      sync.Mutex
	closed  bool
	entries map[string][]byte
	watches map[*Pending]struct{}
}

// NewMemory makes an empty one.
func NewMemory() *Memory {
	return &Memory{entries: map[string][]byte{}, watches: map[*Pending]struct{}{}}
}

// Put implements [Directory].
func (m *Memory) Put(ctx context.Context, key string, value []byte, _ time.Duration) error {
	if err := CheckEntry(key, value); err != nil {
		return err
	}
	return m.change(ctx, Change{Kind: Written, Key: key, Value: bytes.Clone(value)})
}

// Delete implements [Directory].
func (m *Memory) Delete(ctx context.Context, key string) error {
	return m.change(ctx, Change{Kind: Deleted, Key: key})
}

func (m *Memory) change(ctx context.Context, c Change) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("genie: directory: %w", context.Cause(ctx))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errDirectoryClosed()
	}
	if c.Kind == Deleted {
		delete(m.entries, c.Key)
	} else {
		if _, ok := m.entries[c.Key]; !ok && len(m.entries) >= MaxEntries {
			return fmt.Errorf("%w: the directory has %d", ErrEntry, MaxEntries)
		}
		m.entries[c.Key] = c.Value
	}
	for w := range m.watches {
		w.Add(c)
	}
	return nil
}

func errDirectoryClosed() error { return fmt.Errorf("%w: directory", transport.ErrClosed) }

// Watch implements [Directory].
func (m *Memory) Watch(context.Context) (Watch, error) {
	var p *Pending
	p = NewPending(func() { m.forget(p) })
	return p, m.show(p)
}

// show fills a watch and remembers it.
func (m *Memory) show(p *Pending) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errDirectoryClosed()
	}
	for k, v := range m.entries {
		p.Add(Change{Kind: Written, Key: k, Value: v})
	}
	p.Add(Change{Kind: Synced})
	m.watches[p] = struct{}{}
	return nil
}

func (m *Memory) forget(p *Pending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watches, p)
}

// Close implements [Directory]. Watches end.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for w := range m.watches {
		w.Fail(errDirectoryClosed())
	}
	clear(m.watches)
	return nil
}
