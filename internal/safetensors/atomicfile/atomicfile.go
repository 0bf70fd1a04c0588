// Package atomicfile writes a file so that its final name holds either the
// previous content or the whole new content, never a part of it: the bytes go
// to a temporary file in the same folder, which is synced and then renamed.
//
// A rename replaces whatever has the name, so this is done only for a regular
// file, or one that does not exist yet. A link is followed and stays; its
// target is written, or created. A pipe, a character device or a descriptor of
// this process (/dev/stdout) is written directly, like a shell's redirection. A
// folder, a socket or a disk is refused with [ErrTarget].
package atomicfile

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrTarget marks a path that cannot be written like a file.
var ErrTarget = errors.New("genie: not a file to write to")

// File is a file before it has its final name. It is not safe for concurrent
// use. Exactly one of Commit and Abort ends it; later calls of either do
// nothing.
type File struct {
	path    string // as given by the caller
	final   string // destination of the content, links resolved
	out     *os.File
	through bool        // there is no temporary file: out is the target
	stop    func() bool // ends the watch of the context
	done    bool
}

// Create is [CreateContext] without a context.
func Create(path string) (*File, error) { return CreateContext(context.Background(), path) }

// CreateContext starts a file that will appear at path on Commit. The folder
// must exist. The temporary file is in the same folder, with the permissions of
// the file that it will replace, or those that the process's umask gives a new
// one.
//
// For a pipe it waits until a reader has opened it, for at most [PipeWait]; the
// end of ctx ends that wait, and a write that the reader blocks.
func CreateContext(ctx context.Context, path string) (*File, error) {
	t, err := find(path)
	if err != nil {
		return nil, err
	}
	if t.how != replaced {
		return createThrough(ctx, path, t)
	}
	tmp, err := os.OpenFile(temporary(t.path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("create temporary file for %s: %w", path, err)
	}
	f := &File{path: path, final: t.path, out: tmp}
	if t.info != nil {
		if err := likeBefore(tmp, t.info); err != nil {
			return nil, errors.Join(fmt.Errorf("permissions of %s: %w", path, err), f.Abort())
		}
	}
	return f, nil
}

// temporary is an unused name beside path. It is no longer than a name may be,
// however long the file's name is.
func temporary(path string) string {
	const most = 200
	dir, name := filepath.Split(path)
	return filepath.Join(dir, name[:min(len(name), most)]+".tmp-"+rand.Text())
}

// Check finds a path that [Create] would refuse, before any work is done.
func Check(path string) error {
	_, err := find(path)
	return err
}

// Resolve is the final destination of writing to path, links followed, and
// whether it is written directly, which neither a rename nor an exclusive
// creation can do. Its errors are those of [Create].
func Resolve(path string) (final string, through bool, err error) {
	t, err := find(path)
	return t.path, t.how != replaced, err
}

// Write appends p to the content.
func (f *File) Write(p []byte) (int, error) {
	if f.done {
		return 0, fs.ErrClosed
	}
	return f.out.Write(p) //nolint:wrapcheck // an io.Writer passes its errors on
}

// Commit syncs the content and gives it its final name. When it fails, the
// temporary file is gone and path is unchanged. Content that is written
// directly has been written by then.
func (f *File) Commit() error {
	if f.done {
		return nil
	}
	if f.through {
		return f.close()
	}
	if err := f.out.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", f.path, err), f.Abort())
	}
	f.done = true
	err := f.out.Close()
	if err == nil {
		err = os.Rename(f.out.Name(), f.final)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("commit %s: %w", f.path, err), os.Remove(f.out.Name()))
	}
	return syncDir(filepath.Dir(f.final))
}

// Abort drops the content and removes the temporary file. It cannot undo
// content that was written directly.
func (f *File) Abort() error {
	switch {
	case f.done:
		return nil
	case f.through:
		return f.close()
	}
	f.done = true
	return errors.Join(f.out.Close(), os.Remove(f.out.Name()))
}

// close ends a file that is written directly.
func (f *File) close() error {
	f.done = true
	f.stop()
	if err := f.out.Close(); err != nil {
		return fmt.Errorf("close %s: %w", f.path, err)
	}
	return nil
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

// syncDir makes a rename in dir durable. Some systems cannot sync a folder; the
// rename itself has happened by then, so that is not a failure.
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
