package weightcache

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/genie-sdk/go/transport/plan"
)

// Writer is content being written to the cache. It is not safe for concurrent
// use. Exactly one of Commit and Abort ends it; an error of Write is an Abort.
type Writer struct {
	c     *Cache
	final string
	name  string
	size  int64
	tag   *Tag
	got   int64
	f     File // nil after the end
}

const unfinishedLen = 16

// Create begins a file for content of size bytes and makes room for it. The
// error is [fs.ErrExist] when the cache already has the content.
func (c *Cache) Create(h plan.Hash, size int64) (*Writer, error) {
	var random [unfinishedLen / 2]byte
	_, _ = rand.Read(random[:]) // never fails
	w := &Writer{c: c, final: h.String(), size: size}
	w.name = w.final + "-" + hex.EncodeToString(random[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.has(w.final, size) {
		return nil, fs.ErrExist
	}
	if size > c.opts.MaxBytes { // do not empty the cache in vain
		return nil, fmt.Errorf("%w: content of %d bytes, %d are allowed in all", errFull, size, c.opts.MaxBytes)
	}
	if err := c.shrink(size, 1); err != nil {
		return nil, err
	}
	f, err := c.files.Create(w.name)
	if err != nil {
		return nil, err
	}
	w.f = f
	c.writing[w.name] = size
	return w, nil
}

// has reports whether there is a file of the right name and size.
func (c *Cache) has(name string, size int64) bool {
	f, err := c.files.Open(name)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	return err == nil && sizeOf(info.Size(), size) && c.files.Touch(name, c.opts.Now()) == nil
}

// Write adds bytes. After an error nothing is left of the file.
func (w *Writer) Write(p []byte) (int, error) {
	if w.f == nil {
		return 0, fs.ErrClosed
	}
	n, err := w.f.Write(p)
	w.got += int64(n)
	switch {
	case err != nil:
	case n < len(p):
		err = io.ErrShortWrite
	case w.got > w.size:
		err = fmt.Errorf("genie: %d bytes for a cached weight of %d", w.got, w.size)
	default:
		return n, nil
	}
	return n, errors.Join(err, w.Abort())
}

// Commit makes the file durable under its name. The caller has checked the hash
// of the content. After a failure nothing is left of the file.
func (w *Writer) Commit() error {
	if w.f == nil {
		return fs.ErrClosed
	}
	var err error
	if w.got != w.size {
		err = fmt.Errorf("genie: %d bytes for a cached weight of %d", w.got, w.size)
	} else {
		err = w.finish()
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	f := w.f
	w.f = nil
	err = f.Close()
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	delete(w.c.writing, w.name)
	if err == nil {
		err = w.c.files.Rename(w.name, w.final)
	}
	if err != nil {
		return errors.Join(err, w.c.files.Remove(w.name))
	}
	// Other workers may have filled the folder meanwhile.
	return errors.Join(w.c.files.Sync(), w.c.shrink(0, 0))
}

// Abort removes the file. It does nothing after Commit.
func (w *Writer) Abort() error {
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	delete(w.c.writing, w.name)
	return errors.Join(f.Close(), w.c.files.Remove(w.name))
}
