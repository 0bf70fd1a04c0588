package onnxfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/memory"
)

// File is an open model with its external data. Its methods are safe for
// concurrent use; what they return is valid until Close.
type File struct {
	Model *Model

	root   *os.Root // the model's folder, nil for a model in memory
	prefix string   // of the model's folder, below root

	mu      sync.Mutex
	closed  bool
	release []func() error
	mapped  map[string]view // external files by their path below root
}

// view is a file in memory.
type view struct {
	data []byte
	name string // of the mapped file; empty if data is memory of this process
}

// Content is the content of a tensor, little endian and row major.
type Content struct {
	Data []byte
	// File is the mapped file that Data is a view of, or empty. A mapped file that is
	// cut short makes a read fault: read it under [memory.Guard].
	File string
}

// Read reads a model from memory. Its external data cannot be read.
func Read(data []byte) (*File, error) {
	m, err := newDecoder(view{data: data}).model(data)
	if err != nil {
		return nil, err
	}
	return &File{Model: m}, nil
}

// Open maps and reads the model at path. External data is opened when its content
// is asked for, in the folder of the model and nowhere else; in a folder of a Hugging
// Face cache links may lead to the cached repository, as [checkpoint.Boundary] says.
func Open(path string) (f *File, err error) {
	boundary, prefix, err := checkpoint.Boundary(filepath.Dir(path))
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the folder
	}
	root, err := os.OpenRoot(boundary)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the folder
	}
	f = &File{root: root, prefix: prefix, mapped: map[string]view{}, release: []func() error{root.Close}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			f = nil
		}
	}()
	v, err := f.mapFile(filepath.Join(prefix, filepath.Base(path)))
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	if fault := guarded(v, func() { f.Model, err = newDecoder(v).model(v.data) }); fault != nil {
		err = fault
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// guarded calls f, which reads a view.
func guarded(v view, f func()) error {
	if v.name == "" {
		f()
		return nil
	}
	if err := memory.Guard(v.data, f); err != nil {
		return malformed("%s: %v", v.name, err)
	}
	return nil
}

// mapFile maps a file below the root.
func (f *File) mapFile(inside string) (view, error) {
	info, err := f.root.Stat(inside)
	if err != nil {
		return view{}, err //nolint:wrapcheck // *fs.PathError names the file
	}
	if !info.Mode().IsRegular() { // opening a pipe would block
		return view{}, malformed("%s is not a regular file", inside)
	}
	file, err := f.root.Open(inside)
	if err != nil {
		return view{}, err //nolint:wrapcheck // *fs.PathError names the file
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return view{}, err //nolint:wrapcheck // *fs.PathError names the file
	}
	if info.Size() == 0 {
		return view{}, malformed("%s is empty", inside)
	}
	data, release, err := memory.MapFile(file, info.Size())
	if err != nil {
		return view{}, fmt.Errorf("map %s: %w", inside, err)
	}
	f.release = append(f.release, release)
	v := view{data: data}
	if memory.FilesAreMapped {
		v.name = filepath.Join(f.root.Name(), inside)
	}
	return v, nil
}

// Content is the content of a tensor.
func (f *File) Content(t *Tensor) (Content, error) {
	if t.external == nil {
		return t.content()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return Content{}, fs.ErrClosed
	}
	if f.root == nil {
		return Content{}, malformed("tensor %q has external data, which a model in memory cannot have", t.Name)
	}
	n, err := t.Elements()
	if err != nil {
		return Content{}, err
	}
	size := n * int64(t.Type.Size())
	if t.Type.Size() == 0 || t.external.length >= 0 && t.external.length != size {
		return Content{}, malformed("tensor %q: %d bytes of external data for %v%d", t.Name, t.external.length, t.Type, t.Dims)
	}
	v, err := f.external(t)
	if err != nil {
		return Content{}, err
	}
	at := t.external.offset
	if at > math.MaxInt64-size || at+size > int64(len(v.data)) {
		return Content{}, malformed("tensor %q: external data at %d to %d of %q, which has %d bytes", t.Name, at, at+size, t.external.location, len(v.data))
	}
	return Content{v.data[at : at+size : at+size], v.name}, nil
}

// content is the content that is in the model's own file.
func (t *Tensor) content() (Content, error) {
	var c Content
	var err error
	if fault := guarded(t.home, func() { c.Data, err = t.bytes() }); fault != nil {
		return c, fault
	}
	if t.hasRaw || len(t.packed) == 1 && t.fixedWidth() {
		c.File = t.home.name
	}
	return c, err
}

// external maps the file of a tensor's external data, once. f.mu is held.
func (f *File) external(t *Tensor) (view, error) {
	inside, err := t.external.inside(t.Name)
	if err != nil {
		return view{}, err
	}
	inside = filepath.Join(f.prefix, inside)
	v, ok := f.mapped[inside]
	if ok {
		return v, nil
	}
	if len(f.mapped) == MaxFiles {
		return view{}, malformed("external data in more than %d files", MaxFiles)
	}
	if v, err = f.mapFile(inside); err != nil {
		return view{}, fmt.Errorf("tensor %q: external data: %w", t.Name, err)
	}
	f.mapped[inside] = v
	return v, nil
}

// Close unmaps the files. No content may be used after it.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	var err error
	for _, r := range f.release {
		err = errors.Join(err, r())
	}
	return err
}

// CopyTo copies the content, as much as fits into dst.
func (c Content) CopyTo(dst []byte) error {
	return guarded(view{c.Data, c.File}, func() { copy(dst, c.Data) })
}
