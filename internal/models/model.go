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

// model is one checkpoint of a folder. Its lock is held while it is opened and
// while it is looked whether its files are others by now.
type model struct {
	place

	mu     sync.Mutex
	open   *opened // nil until it is open, and when it cannot be
	failed error   // why it could not be opened the last time
	pause  pause
}

// String is where the model is, for the texts.
func (m *model) String() string { return fmt.Sprintf("%q", filepath.Join(m.repo, m.dir)) }

// is reports whether the directory of a model is there.
func (m *model) is(f *Folder) bool {
	info, err := f.root.Stat(filepath.Join(m.repo, m.dir))
	return err == nil && info.IsDir()
}

// replaced reports whether the model's files are others than those that are
// open. It is asked for each weight that a model does not have, of which there
// may be many.
func (m *model) replaced() bool {
	begun := time.Now()
	yes := m.open.files.Replaced()
	m.pause.rest(time.Since(begun))
	return yes
}

// shut lets go of the files that are open: they are unmapped when the last of
// the weights that were given out is taken.
func (m *model) shut() {
	if m.open != nil {
		m.open.done(func() {})
		m.open = nil
	}
}

// give is a weight that the model has.
func (m *model) give(hash plan.Hash) (transport.Weight, error) {
	o := m.open
	tensor := o.names[hash]
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
	w.Distrust = func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.open == o {
			o.files.Distrust()
			m.shut()
		}
	}
	return w, nil
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

func (o *opened) has(hash plan.Hash) bool {
	_, ok := o.names[hash]
	return ok
}

func (o *opened) use() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.users++
}

// done is the end of a use, after a last one that needs the files.
func (o *opened) done(use func()) {
	o.mu.Lock()
	if o.users > 0 {
		use()
	}
	o.users--
	last := o.users == 0
	o.mu.Unlock()
	if last {
		_ = o.close() // what is mapped no more cannot fail anybody
	}
}

// end closes the files now, whoever uses them.
func (o *opened) end() error {
	o.mu.Lock()
	gone := o.users <= 0
	o.users = -1 << 30 // so that no later use is the last
	o.mu.Unlock()
	if gone {
		return nil
	}
	return o.close()
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
