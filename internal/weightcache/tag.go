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

// Tag is 32 bytes that belong to content. A worker checks with them whether a
// client has the content, without reading it. They are stored after the content
// in its file.
type Tag [32]byte

const tagLen = int64(len(Tag{}))

// nonceName is the file of the nonce that tags were made with.
const nonceName = "possession-nonce"

// Nonce is 32 random bytes that stay with the folder. The tags in it are made
// with them.
func (c *Cache) Nonce() ([32]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, err := c.readNonce(); !errors.Is(err, fs.ErrNotExist) {
		return n, err
	}
	var n [32]byte
	_, _ = rand.Read(n[:]) // never fails
	temp := nonceName + "-" + hex.EncodeToString(n[:8])
	f, err := c.files.Create(temp)
	if err != nil {
		return n, fmt.Errorf("weight cache: %w", err)
	}
	_, err = f.Write(n[:])
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = c.files.Rename(temp, nonceName)
	}
	if err != nil {
		return n, errors.Join(fmt.Errorf("weight cache: %w", err), c.files.Remove(temp))
	}
	return c.readNonce() // another worker's, if that was faster
}

func (c *Cache) readNonce() (n [32]byte, err error) {
	f, err := c.files.Open(nonceName)
	if err != nil {
		return n, err
	}
	defer func() { _ = f.Close() }()
	if _, err := io.ReadFull(f, n[:]); err != nil {
		return n, fmt.Errorf("weight cache: %s: %w", nonceName, err)
	}
	return n, nil
}

// sizeOf reports whether a file of have bytes can hold content of size bytes,
// with or without its tag.
func sizeOf(have, size int64) bool { return have == size || have == size+tagLen }

// SetTag gives the content its tag; it is called before Commit.
func (w *Writer) SetTag(t Tag) { w.tag = &t }

// finish writes the tag and makes the file durable.
func (w *Writer) finish() error {
	if w.tag != nil {
		if _, err := w.f.Write(w.tag[:]); err != nil {
			return err
		}
	}
	return w.f.Sync()
}

// Tag is the tag of content of size bytes; false when the cache does not have
// it. It takes about the same time in both cases.
func (c *Cache) Tag(h plan.Hash, size int64) (t Tag, ok bool) {
	f, err := c.files.Open(h.String())
	if err != nil {
		return t, false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != size+tagLen {
		return t, false
	}
	if _, err := f.ReadAt(t[:], size); err != nil {
		return t, false
	}
	return t, true
}
