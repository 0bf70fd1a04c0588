// Package models finds weights in a folder of checkpoints by their content: it
// is what lets a worker open a model of its own in place of having it sent.
//
//	f, err := models.Open(ctx, "/srv/models")
//	if err != nil { ... }
//	defer f.Close()
//	w, err := f.Find("gpt2", hash)
//
// A folder holds one directory for each model, in the layout of Hugging Face.
// A model is opened, and hashed unless its hashes are stored beside it, when a
// weight of it is asked for first; it stays open until Close.
package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

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
	dir  string
	root *os.Root
	opts checkpoint.Options

	ctx context.Context // ends hashing that is under way

	mu     sync.Mutex
	closed bool
	models map[string]*model
	opened []*checkpoint.Model
}

// model is one checkpoint; its lock is held while it is opened.
type model struct {
	mu    sync.Mutex
	files *checkpoint.Model // nil until it is open
	names map[plan.Hash]string
}

// Open opens the folder dir. Hashing stops when ctx ends.
func Open(ctx context.Context, dir string, opts checkpoint.Options) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("model folder: %w", err)
	}
	return &Folder{dir: dir, root: root, opts: opts, ctx: ctx, models: map[string]*model{}}, nil
}

// Find returns the weight of a model that has the given content. name is the
// name of a directory in the folder; a link is followed unless it leads out of
// the folder. Errors wrap [transport.ErrMissingWeight] when there is no such
// model or no such content in it, [ErrName], [transport.ErrClosed], or are
// those of a checkpoint that cannot be used.
func (f *Folder) Find(name string, hash plan.Hash) (transport.Weight, error) {
	if !validName(name) {
		return transport.Weight{}, fmt.Errorf("%w: %.80q", ErrName, name)
	}
	m, err := f.model(name)
	if err != nil {
		return transport.Weight{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil {
		if err := f.load(name, m); err != nil {
			f.forget(name, m)
			return transport.Weight{}, err
		}
	}
	tensor, ok := m.names[hash]
	if !ok {
		return transport.Weight{}, fmt.Errorf("%w: model %q has no content with hash %v", transport.ErrMissingWeight, name, hash)
	}
	t, err := m.files.Tensor(tensor)
	if err != nil {
		return transport.Weight{}, err
	}
	shape := make([]int, len(t.Shape))
	for i, n := range t.Shape {
		shape[i] = int(n)
	}
	return weight(tensor, hash, shape, t), nil
}

// validName reports whether name is one element of a path and no more.
func validName(name string) bool {
	return filepath.IsLocal(name) && name != "." && !strings.ContainsAny(name, "/\\\x00")
}

// model finds the entry of a model, or makes one that is not open yet.
func (f *Folder) model(name string) (*model, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, fmt.Errorf("%w: model folder %s", transport.ErrClosed, f.dir)
	}
	m := f.models[name]
	if m == nil {
		m = &model{}
		f.models[name] = m
	}
	return m, nil
}

// forget drops an entry that could not be opened, so that a later call tries
// again and names of nothing take no memory.
func (f *Folder) forget(name string, m *model) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.models[name] == m {
		delete(f.models, name)
	}
}

// load opens a model whose lock is held. Every file of it is reached through the
// root, which refuses a link that leads out of the folder, also one that takes
// the place of another meanwhile.
func (f *Folder) load(name string, m *model) error {
	info, err := f.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: no model %q in %s", transport.ErrMissingWeight, name, f.dir)
	}
	if err != nil {
		return fmt.Errorf("model %q in %s: %w", name, f.dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %q in %s is not a directory", transport.ErrMissingWeight, name, f.dir)
	}
	files, err := checkpoint.OpenIn(f.root, name, f.opts)
	if err != nil {
		return err
	}
	names, err := index(f.ctx, files)
	if err != nil {
		return errors.Join(err, files.Close())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errors.Join(fmt.Errorf("%w: model folder %s", transport.ErrClosed, f.dir), files.Close())
	}
	f.opened = append(f.opened, files)
	m.files, m.names = files, names
	return nil
}

// index maps the content of a model to the names of its tensors. Tensors of a
// type that no plan knows are left out.
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

// ends lets no model be found any more, and gives those that are open.
func (f *Folder) ends() (opened []*checkpoint.Model, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, false
	}
	f.closed = true
	opened = f.opened
	f.models, f.opened = nil, nil
	return opened, true
}

// Close unmaps all models.
func (f *Folder) Close() error {
	opened, first := f.ends()
	if !first {
		return nil
	}
	err := f.root.Close()
	for _, m := range opened {
		err = errors.Join(err, m.Close())
	}
	return err
}
