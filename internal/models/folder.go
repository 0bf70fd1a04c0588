// Package models finds weights in a folder of checkpoints by their content, so
// that clients need not upload them to a worker that has the model.
//
//	f, err := models.Open(ctx, "/srv/models")
//	if err != nil { ... }
//	defer f.Close()
//	w, err := f.Find(ctx, "gpt2", hash)
//
// A folder contains one directory for each model, in the Hugging Face layout,
// or is a download cache of Hugging Face: the folder of all repositories, one
// of them, or its folder of revisions. A model is opened, and hashed unless its
// hashes are stored, at the first request for one of its weights. It stays open
// until Close, or until missing content is requested and its files have been
// replaced.
package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// ErrName marks a model name that is not a single path element.
var ErrName = errors.New("genie: not a model name")

// storages are the element types of weights that plans know.
var storages = map[safetensors.DType]plan.DType{
	safetensors.F32: plan.F32, safetensors.F16: plan.F16, safetensors.BF16: plan.BF16,
}

// Folder is an open folder of models. It is safe for concurrent use. The bytes
// that it gave out must not be used after Close.
type Folder struct {
	dir    string
	root   *os.Root // no path escapes from it
	prefix string   // of the folder, below root
	opts   checkpoint.Options
	log    *slog.Logger

	ctx    context.Context // its end stops hashing
	cancel context.CancelFunc
	work   sync.WaitGroup // goroutines that bring models up to date

	mu     sync.Mutex
	closed bool
	models map[place]*model // open models, and those that could not be opened
	cached catalog
}

// Open opens the folder dir, and logs at warn level what in it will not be used
// and why. Hashing stops when ctx ends.
func Open(ctx context.Context, dir string, opts checkpoint.Options) (*Folder, error) {
	boundary, prefix, err := checkpoint.Boundary(dir)
	if err != nil {
		return nil, fmt.Errorf("model folder: %w", err)
	}
	root, err := os.OpenRoot(boundary)
	if err != nil {
		return nil, fmt.Errorf("model folder: %w", err)
	}
	f := &Folder{dir: dir, root: root, prefix: prefix, opts: opts, log: opts.Logger, models: map[place]*model{}}
	f.ctx, f.cancel = context.WithCancel(ctx)
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	f.survey()
	return f, nil
}

// Find returns the weight of a model that has the given content. name is the
// name of a directory in the folder; a link is followed unless it leads out of
// the folder. In a download cache, name is that of a revision, or of a folder
// in one, and the boundary of links is the repository. Call the weight's
// Release when its data has been consumed.
//
// Find waits for a model that is being hashed, until ctx ends; the hashing
// continues for the next caller.
//
// Errors wrap [transport.ErrMissingWeight] when there is no such model or no
// such content in it, [ErrName], [transport.ErrClosed], or are those of an
// unusable checkpoint.
func (f *Folder) Find(ctx context.Context, name string, hash plan.Hash) (transport.Weight, error) {
	if !validName(name) {
		return transport.Weight{}, fmt.Errorf("%w: %.80q", ErrName, name)
	}
	named := place{dir: filepath.Join(f.prefix, name)}
	if w, ok := f.held(named, hash); ok {
		return w, nil
	}
	places, err := f.places(named, name)
	if err != nil {
		return transport.Weight{}, err
	}
	if len(places) == 0 {
		return transport.Weight{}, fmt.Errorf("%w: no model %q in %s", transport.ErrMissingWeight, name, f.dir)
	}
	var failed error
	for _, p := range places {
		w, err := f.findIn(ctx, p, hash)
		if err == nil {
			return w, nil
		}
		if failed == nil || errors.Is(failed, transport.ErrMissingWeight) {
			failed = err
		}
	}
	return transport.Weight{}, failed
}

// validName reports whether name is exactly one element of a path.
func validName(name string) bool {
	return filepath.IsLocal(name) && name != "." && !strings.ContainsAny(name, "/\\\x00")
}

// place is the location of a model: a directory below the folder's root, or
// below that of a cached repository in it, which is then the boundary of links.
type place struct{ repo, dir string }

// places are the possible locations of models of a name.
func (f *Folder) places(named place, name string) ([]place, error) {
	switch info, err := f.root.Stat(named.dir); {
	case err == nil && info.IsDir():
		return []place{named}, nil
	case err == nil:
		return nil, fmt.Errorf("%w: %q in %s is not a directory", transport.ErrMissingWeight, name, f.dir)
	case errors.Is(err, os.ErrClosed):
		return nil, fmt.Errorf("%w: model folder %s", transport.ErrClosed, f.dir)
	case !errors.Is(err, fs.ErrNotExist) && f.opened(named):
		return []place{named}, nil // an open model stays as it was
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("model %q in %s: %w", name, f.dir, err)
	}
	return f.cached.find(f, name), nil
}

// held finds content in a model that is open.
func (f *Folder) held(p place, hash plan.Hash) (transport.Weight, bool) {
	m := f.entry(p)
	if m == nil {
		return transport.Weight{}, false
	}
	w, ok, err := m.find(hash)
	return w, ok && err == nil
}

// opened reports whether a model is open.
func (f *Folder) opened(p place) bool {
	m := f.entry(p)
	return m != nil && m.isOpen()
}

// entry is the entry of a place; nil for none.
func (f *Folder) entry(p place) *model {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.models[p]
}

// findIn looks for content in one model.
func (f *Folder) findIn(ctx context.Context, p place, hash plan.Hash) (transport.Weight, error) {
	m, err := f.model(p)
	if err != nil {
		return transport.Weight{}, err
	}
	if w, ok, err := m.find(hash); ok {
		return w, err
	}
	// The open files stay in use until their successors are open.
	failed, err := f.renew(ctx, m)
	if err != nil {
		return transport.Weight{}, err
	}
	if w, ok, err := m.find(hash); ok {
		return w, err
	}
	if failed != nil && !m.isOpen() {
		return transport.Weight{}, failed
	}
	err = fmt.Errorf("%w: model %s has no content with hash %v", transport.ErrMissingWeight, m, hash)
	if failed != nil {
		err = fmt.Errorf("%w, and its new files cannot be used: %w", err, failed)
	}
	return transport.Weight{}, err
}

// renew opens a model that is not open or whose files have changed, unless that
// was tried a moment ago. Concurrent callers wait for the same attempt; failed
// is its result.
func (f *Folder) renew(ctx context.Context, m *model) (failed, err error) {
	busy, failed, err := f.renewing(m)
	if busy == nil {
		return failed, err
	}
	select {
	case <-busy:
	case <-ctx.Done():
		return nil, fmt.Errorf("model %s: %w", m, context.Cause(ctx))
	}
	return m.failure(), nil
}

// renewing is closed when the current attempt of renew has ended; it starts one
// if none is running. It is nil where no attempt is to be made.
func (f *Folder) renewing(m *model) (busy <-chan struct{}, failed, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy != nil {
		return m.busy, nil, nil
	}
	if !m.pause.over() {
		return nil, m.failed, nil
	}
	if !f.begin() {
		return nil, nil, fmt.Errorf("%w: model folder %s", transport.ErrClosed, f.dir)
	}
	m.busy = make(chan struct{})
	go func() {
		defer f.work.Done()
		defer m.rested()
		if m.stale() {
			f.load(m)
		}
	}()
	return m.busy, nil, nil
}

// begin counts a goroutine that Close waits for; false after Close.
func (f *Folder) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.work.Add(1)
	}
	return !f.closed
}

// model finds the entry of a place, or makes one that is not open yet.
func (f *Folder) model(p place) (*model, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, fmt.Errorf("%w: model folder %s", transport.ErrClosed, f.dir)
	}
	m := f.models[p]
	if m == nil {
		m = &model{place: p}
		f.models[p] = m
	}
	return m, nil
}

// load opens a model; only one goroutine does so at a time. It reaches every
// file through a root, which refuses a link that leads out of it, also one that
// replaces another meanwhile. A model that cannot be opened is logged once, and
// not tried again at once.
func (f *Folder) load(m *model) {
	begun := time.Now()
	o, err := f.open(m.place)
	if err == nil {
		if old := m.swap(o); old != nil {
			old.done(func() {})
		}
		return
	}
	if said := m.fail(err, time.Since(begun)); !said && f.ctx.Err() == nil {
		f.log.Warn("model in the model folder is not used", "model", m.String(), "error", err)
	}
	if !m.isOpen() && !m.is(f) {
		f.forget(m) // its directory is gone
	}
}

// open opens and hashes the model of a place.
func (f *Folder) open(p place) (*opened, error) {
	root, err := f.rootOf(p)
	if err != nil {
		return nil, err
	}
	files, err := checkpoint.OpenIn(root, p.dir, f.opts)
	if err != nil {
		return nil, errors.Join(err, f.closeRoot(root))
	}
	o := &opened{files: files, users: 1, close: func() error { return errors.Join(files.Close(), f.closeRoot(root)) }}
	if o.names, err = index(f.ctx, files); err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

// rootOf is the root of a place: the folder's, or a separate one.
func (f *Folder) rootOf(p place) (*os.Root, error) {
	if p.repo == "" {
		return f.root, nil
	}
	root, err := f.root.OpenRoot(p.repo)
	if err != nil {
		return nil, fmt.Errorf("model folder: %w", err)
	}
	return root, nil
}

func (f *Folder) closeRoot(root *os.Root) error {
	if root == f.root {
		return nil
	}
	return root.Close() //nolint:wrapcheck // nothing to add
}

// forget drops the entry of a directory that is gone, so that names without
// models take no memory.
func (f *Folder) forget(m *model) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.models[m.place] == m {
		delete(f.models, m.place)
	}
}

// index maps the content of a model to the names of its tensors. It omits
// tensors of a type that plans do not have.
func index(ctx context.Context, files *checkpoint.Model) (map[plan.Hash]string, error) {
	if err := files.HashAll(ctx); err != nil {
		return nil, err
	}
	names := map[plan.Hash]string{}
	for _, name := range files.Names() {
		t, err := files.Tensor(name)
		if err != nil {
			return nil, err
		}
		if _, ok := storages[t.DType]; !ok {
			continue
		}
		h, err := files.Hash(name)
		if err != nil {
			return nil, err
		}
		names[h] = name
	}
	return names, nil
}

// ends stops all lookups and returns the models.
func (f *Folder) ends() (all map[place]*model, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, false
	}
	f.closed = true
	all = f.models
	f.models = nil
	return all, true
}

// Close stops hashing and unmaps all models, even those in use.
func (f *Folder) Close() error {
	all, first := f.ends()
	if !first {
		return nil
	}
	f.cancel()
	f.work.Wait()
	var err error
	for _, m := range all {
		if o := m.swap(nil); o != nil {
			err = errors.Join(err, o.end())
		}
	}
	return errors.Join(err, f.root.Close())
}
