package models

import (
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// model is one checkpoint of a folder.
type model struct {
	place

	mu     sync.Mutex    // guards what follows
	busy   chan struct{} // closed when files have been looked at, opened and hashed; nil when nobody does
	open   *opened       // nil until it is open, and when it cannot be
	failed error         // why it could not be opened the last time
	pause  pause         // until files are looked at again
}

// String is where the model is, for the texts.
func (m *model) String() string { return fmt.Sprintf("%q", filepath.Join(m.repo, m.dir)) }

// is reports whether the directory of a model is there.
func (m *model) is(f *Folder) bool {
	info, err := f.root.Stat(filepath.Join(m.repo, m.dir))
	return err == nil && info.IsDir()
}

func (m *model) isOpen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open != nil
}

// failure is why it could not be opened the last time.
func (m *model) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// swap replaces what is open.
func (m *model) swap(o *opened) (old *opened) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, m.open, m.failed = m.open, o, nil
	return old
}

// fail notes why the model could not be opened, and reports whether that was so
// the last time.
func (m *model) fail(err error, took time.Duration) (again bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	again = m.failed != nil && m.failed.Error() == err.Error()
	m.failed = err
	m.pause.rest(took)
	return again
}

// rested is the end of work on the files. A panic, which only a mistake in
// reading them makes, is why they are not used.
func (m *model) rested() {
	if r := recover(); r != nil {
		m.fail(fmt.Errorf("%w: model %s: %v", transport.ErrInternal, m, r), 0)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.busy)
	m.busy = nil
}

// stale reports whether the model is to be opened: it is not open, or its files
// are others by now. It is asked for weights that a model does not have, of which
// there may be many: a pause follows.
func (m *model) stale() bool {
	o := m.used()
	if o == nil {
		return true
	}
	defer o.done(func() {})
	begun := time.Now()
	yes := o.files.Replaced()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pause.rest(time.Since(begun))
	return yes
}

// used is what is open, with one use more; nil for nothing.
func (m *model) used() *opened {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open != nil {
		m.open.use()
	}
	return m.open
}

// find gives a weight that the model has; ok is false for one that it does not
// have.
func (m *model) find(hash plan.Hash) (w transport.Weight, ok bool, err error) {
	w, o, err := m.lookup(hash)
	if o == nil {
		return w, false, nil
	}
	if err == nil {
		w.Distrust = func() { m.distrust(o) }
	}
	return w, true, err
}

// lookup is find, and what is open; nil where that has not the content.
func (m *model) lookup(hash plan.Hash) (transport.Weight, *opened, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		return transport.Weight{}, nil, nil
	}
	tensor, ok := m.open.names[hash]
	if !ok {
		return transport.Weight{}, nil, nil
	}
	w, err := m.open.weight(tensor, hash)
	return w, m.open, err
}

// distrust closes files whose content is not what their hashes say, and drops
// what is stored of them, so that they are opened and hashed anew.
func (m *model) distrust(o *opened) {
	if m.drops(o) {
		defer o.done(func() {})
		o.files.Distrust()
	}
}

// drops lets nothing be found in o any more; false when that has been done.
func (m *model) drops(o *opened) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open != o {
		return false
	}
	m.open = nil
	return true
}

// opened is the open files of a model, closed when nobody uses them: the model
// itself and each weight that was given out.
type opened struct {
	files *checkpoint.Model
	names map[plan.Hash]string
	close func() error

	mu    sync.Mutex
	users int
}

// weight is a tensor of the files, which stay until its Release.
func (o *opened) weight(tensor string, hash plan.Hash) (transport.Weight, error) {
	t, err := o.files.Tensor(tensor)
	if err != nil {
		return transport.Weight{}, err
	}
	shape := make([]int, len(t.Shape))
	for i, n := range t.Shape {
		shape[i] = int(n)
	}
	o.use()
	w := weight(tensor, hash, shape, t)
	w.Release = sync.OnceFunc(func() { o.done(t.Release) })
	return w, nil
}

func (o *opened) use() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.users++
}

// done is the end of a use, after a last one that needs the files.
func (o *opened) done(use func()) {
	if o.left(use) {
		_ = o.close() // what is mapped no more cannot fail anybody
	}
}

// left counts a use less, and reports whether that was the last.
func (o *opened) left(use func()) (last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	open := o.users > 0
	o.users--
	if open {
		use()
	}
	return o.users == 0
}

// end closes the files now, whoever uses them.
func (o *opened) end() error {
	if o.ended() {
		return nil
	}
	return o.close()
}

// ended lets no later use be the last, and reports whether that has been.
func (o *opened) ended() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	gone := o.users <= 0
	o.users = -1 << 30
	return gone
}

// pause keeps looking at files to a small part of the time.
type pause struct{ until time.Time }

const (
	// pauseShare is how many times longer than the last look the pause is.
	pauseShare = 10
	minPause   = time.Millisecond
)

// over reports whether it is time to look again.
func (p *pause) over() bool { return time.Now().After(p.until) }

// rest begins the pause after a look that took so long.
func (p *pause) rest(took time.Duration) {
	p.until = time.Now().Add(max(minPause, pauseShare*took))
}
