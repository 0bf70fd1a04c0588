package safetensors

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/genie-sdk/go/internal/memory"
)

// Tensor is one tensor of an open file.
type Tensor struct {
	DType DType
	Shape []int64 // a scalar has no dimensions
	// Data holds the elements, row major and little endian. It is a read-only
	// view into the mapped file, valid until the file is closed. In files from
	// Hugging Face or this package it is aligned to the element's size; the
	// format does not guarantee that.
	//
	// If a mapped file is truncated, reading Data faults, which ends the
	// process: if File is not empty, read the data with [Tensor.Read].
	Data []byte
	// File is the file that Data is a view of; empty if Data is memory of this
	// process.
	File string
	name string
}

// Read calls f with the data, of which it may read any part, in its own
// goroutine and without a lock. A truncated file, or an error of its disk, is
// an *[Error] that wraps [ErrCorrupt]; f has then stopped where it was.
func (t Tensor) Read(f func(data []byte)) error { return t.ReadPart(0, len(t.Data), f) }

// ReadPart is Read of the bytes from one offset up to another.
func (t Tensor) ReadPart(from, to int, f func(data []byte)) error {
	data := t.Data[from:to:to]
	if t.File == "" {
		f(data)
		return nil
	}
	if err := memory.Guard(data, func() { f(data) }); err != nil {
		return &Error{File: t.File, Tensor: t.name, Reason: err.Error(), Err: ErrCorrupt}
	}
	return nil
}

// Release lets the content leave memory until it is read again.
func (t Tensor) Release() {
	if t.File != "" {
		memory.Forget(t.Data)
	}
}

// File is an open safetensors file. All methods are safe for concurrent use,
// but a view must not be used after Close.
//
// The mapping shows the file on disk: truncating the file makes a later read of
// a view fault, see [Tensor.Read]. Replace checkpoints by rename.
type File struct {
	path   string
	info   os.FileInfo
	header *header
	data   []byte         // the tensors' bytes, nil once closed
	index  map[string]int // into header.spans

	mu      sync.Mutex
	release func() error // nil once closed
}

// Open maps the file at path and checks it. A malformed file gives an *[Error];
// an unreadable one gives the system's error.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	defer f.Close()
	return OpenFile(f, path)
}

// OpenFile is Open for an open file; path only names it in errors. The caller
// still owns f and may close it as soon as OpenFile returns.
func OpenFile(f *os.File, path string) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{File: path, Reason: "not a regular file", Err: ErrCorrupt}
	}
	raw, bad := readHeader(f, info.Size())
	var h *header
	if bad == nil {
		h, bad = parse(raw, info.Size()-lengthBytes-int64(len(raw)))
	}
	if bad != nil {
		bad.File = path
		return nil, bad
	}
	image, release, err := memory.MapFile(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	index := make(map[string]int, len(h.spans))
	for i, s := range h.spans {
		index[s.name] = i
	}
	return &File{
		path: path, info: info, header: h, data: image[lengthBytes+len(raw):], index: index, release: release,
	}, nil
}

// readHeader copies the JSON text, which is small: later changes of the file do
// not affect it.
func readHeader(f io.ReaderAt, size int64) ([]byte, *Error) {
	if size < lengthBytes {
		return nil, fault("", ErrCorrupt, "file has %d bytes, the header length alone takes %d", size, lengthBytes)
	}
	var first [lengthBytes]byte
	if _, err := f.ReadAt(first[:], 0); err != nil {
		return nil, fault("", ErrCorrupt, "read the header length: %v", err)
	}
	n, bad := headerLength(first[:], size)
	if bad != nil {
		return nil, bad
	}
	raw := make([]byte, n)
	if got, err := f.ReadAt(raw, lengthBytes); int64(got) < n {
		return nil, fault("", ErrCorrupt, "read %d bytes of a header of %d: %v", got, n, err)
	}
	return raw, nil
}

// Path returns the path that the file was opened under.
func (f *File) Path() string { return f.path }

// Info returns the file's size, time of change and identity at the time of
// opening.
func (f *File) Info() os.FileInfo { return f.info }

// Names returns the tensors' names in file order.
func (f *File) Names() []string {
	names := make([]string, len(f.header.spans))
	for i, s := range f.header.spans {
		names[i] = s.name
	}
	return names
}

// Metadata returns a copy of the header's "__metadata__", which is often
// {"format": "pt"}; it is empty when the file has none.
func (f *File) Metadata() map[string]string { return maps.Clone(f.header.metadata) }

// Tensor returns the named tensor, and false when the file does not have it or
// is closed.
func (f *File) Tensor(name string) (Tensor, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := f.index[name]
	if !ok || f.release == nil {
		return Tensor{}, false
	}
	s := f.header.spans[i]
	t := Tensor{DType: s.dtype, Shape: slices.Clone(s.shape), Data: f.data[s.begin:s.end:s.end], name: name}
	if memory.FilesAreMapped {
		t.File = f.path
	}
	return t, true
}

// Header returns a copy of the header's JSON text, padding included, with every
// tensor's name, place and shape; nil once the file is closed.
func (f *File) Header() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.release == nil {
		return nil
	}
	return slices.Clone(f.header.raw)
}

// Close unmaps the file. Views must not be used afterwards. A second Close does
// nothing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.release == nil {
		return nil
	}
	release := f.release
	f.release = nil
	f.header.raw, f.data = nil, nil
	if err := release(); err != nil {
		return fmt.Errorf("unmap %s: %w", f.path, err)
	}
	return nil
}
