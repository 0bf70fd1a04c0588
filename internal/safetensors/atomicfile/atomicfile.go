// Package atomicfile writes a file so that its final name holds either what
// was there before or the whole new content, never a part of it: the bytes go
// to a temporary file in the same folder, which is synced and then renamed.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file under way to its final name. It is not safe for concurrent
// use. Exactly one of Commit and Abort decides its fate; later calls of either
// do nothing.
type File struct {
	path string
	tmp  *os.File
	done bool
}

// Create starts a file that will appear at path on Commit. The folder has to
// exist; the temporary file lies beside path, with the permissions that the
// process's umask gives a new file.
func Create(path string) (*File, error) {
	tmp, err := os.OpenFile(path+".tmp-"+rand.Text(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("create temporary file for %s: %w", path, err)
	}
	return &File{path: path, tmp: tmp}, nil
}

// Write appends p to the temporary file.
func (f *File) Write(p []byte) (int, error) {
	if f.done {
		return 0, fs.ErrClosed
	}
	return f.tmp.Write(p) //nolint:wrapcheck // an io.Writer passes its errors on
}

// Commit syncs the content and gives it its final name. When it fails the
// temporary file is gone and path is as it was before.
func (f *File) Commit() error {
	if f.done {
		return nil
	}
	if err := f.tmp.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", f.path, err), f.Abort())
	}
	f.done = true
	err := f.tmp.Close()
	if err == nil {
		err = os.Rename(f.tmp.Name(), f.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("commit %s: %w", f.path, err), os.Remove(f.tmp.Name()))
	}
	return syncDir(filepath.Dir(f.path))
}

// Abort drops the content and removes the temporary file.
func (f *File) Abort() error {
	if f.done {
		return nil
	}
	f.done = true
	return errors.Join(f.tmp.Close(), os.Remove(f.tmp.Name()))
}

// WriteFile writes data to path atomically.
func WriteFile(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), f.Abort())
	}
	return f.Commit()
}

// syncDir makes a rename in dir durable. Some systems cannot sync a folder;
// the rename itself has happened by then, so that is no failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil //nolint:nilerr // a folder that may be written but not read
	}
	_ = d.Sync()
	if err := d.Close(); err != nil {
		return fmt.Errorf("close %s: %w", dir, err)
	}
	return nil
}

var _ io.Writer = (*File)(nil)
