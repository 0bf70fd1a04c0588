package weightcache

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// Files is a folder with the operations that a cache needs. Tests replace it to
// simulate a full disk.
type Files interface {
	// Create makes a file that does not exist yet.
	Create(name string) (File, error)
	Open(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// Touch sets the time when a file was last used.
	Touch(name string, t time.Time) error
	List() ([]fs.FileInfo, error)
	// Sync makes renames durable.
	Sync() error
	Close() error
}

// File is an open file.
type File interface {
	io.ReadWriteCloser
	io.ReaderAt
	Sync() error
	Stat() (fs.FileInfo, error)
}

// folder is a folder of the system; no name escapes from it.
type folder struct{ root *os.Root }

func openFolder(dir string) (Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return folder{root}, nil
}

func (d folder) Create(name string) (File, error) {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d folder) Open(name string) (File, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d folder) Rename(from, to string) error         { return d.root.Rename(from, to) }
func (d folder) Remove(name string) error             { return d.root.Remove(name) }
func (d folder) Touch(name string, t time.Time) error { return d.root.Chtimes(name, t, t) }
func (d folder) Close() error                         { return d.root.Close() }

// List lists the files of the folder, except those that disappear meanwhile.
func (d folder) List() ([]fs.FileInfo, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, e := range entries {
		info, err := d.root.Lstat(e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// Sync makes renames durable. Some systems cannot sync a folder; the rename
// itself has happened by then, so that is not a failure.
func (d folder) Sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	_ = f.Sync()
	return f.Close()
}
