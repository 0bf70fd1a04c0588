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

	mu     sync.Mutex    // guards the following
	busy   chan struct{} // closed when files have been checked, opened and hashed; nil when no goroutine does so
	open   *opened       // nil before it is open, and when it cannot be opened
	failed error         // why the last attempt failed
	pause  pause         // until files are checked again
}

// String is the location of the model, for messages.
func (m *model) String() string { return fmt.Sprintf("%q", filepath.Join(m.repo, m.dir)) }

// is reports whether the directory of a model exists.
func (m *model) is(f *Folder) bool {
	info, err := f.root.Stat(filepath.Join(m.repo, m.dir))
	return err == nil && info.IsDir()
}

func (m *model) isOpen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open != nil
}

// failure is why the last attempt to open the model failed.
func (m *model) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// swap replaces the open files.
func (m *model) swap(o *opened) (old *opened) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, m.open, m.failed = m.open, o, nil
	return old
}

// fail records why the model could not be opened, and reports whether the last
// attempt failed for the same reason.
func (m *model) fail(err error, took time.Duration) (again bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	again = m.failed != nil && m.failed.Error() == err.Error()
	m.failed = err
	m.pause.rest(took)
	return again
}

// rested ends the work on the files. It records a panic, which only a bug in
// reading them causes, as the reason not to use them.
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
// have changed. It is called for weights that a model does not have, of which
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

// used is the open files with one more use; nil if there are none.
func (m *model) used() *opened {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open != nil {
		m.open.use()
	}
	return m.open
}

// find returns a weight of the model; ok is false if the model does not have
// it.
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

// lookup is find, and the open files; nil if they do not have the content.
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

// distrust closes files whose content does not have the stored hashes, and
// drops these hashes, so that the files are opened and hashed again.
func (m *model) distrust(o *opened) {
	if m.drops(o) {
		defer o.done(func() {})
		o.files.Distrust()
	}
}

// drops ends lookups in o; false when that has already been done.
func (m *model) drops(o *opened) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open != o {
		return false
	}
	m.open = nil
	return true
}

// opened is the open files of a model. They are closed when their last user is
// done: the model itself and each returned weight are users.
type opened struct {
	files *checkpoint.Model
	names map[plan.Hash]string
	close func() error

	mu    sync.Mutex
	users int
}

// weight is a tensor of the files, which stay open until its Release.
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

// done ends a use, after a final action that needs the files.
func (o *opened) done(use func()) {
	if o.left(use) {
		_ = o.close() // a failure to unmap has no effect
	}
}

// left counts one use less, and reports whether it was the last.
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

// end closes the files now, even if they are in use.
func (o *opened) end() error {
	if o.ended() {
		return nil
	}
	return o.close()
}

// ended keeps any later use from being the last, and reports whether the last
// has been.
func (o *opened) ended() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	gone := o.users <= 0
	o.users = -1 << 30
	return gone
}

// pause limits the checking of files to a small part of the time.
type pause struct{ until time.Time }

const (
	// pauseShare is how many times longer than the last check the pause is.
	pauseShare = 10
	minPause   = time.Millisecond
)

// over reports whether it is time to check again.
func (p *pause) over() bool { return time.Now().After(p.until) }

// rest begins the pause after a check of the given duration.
func (p *pause) rest(took time.Duration) {
	p.until = time.Now().Add(max(minPause, pauseShare*took))
}
