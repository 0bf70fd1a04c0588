package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxLinks is the maximum number of links in a path, as on Linux.
const maxLinks = 40

// manner says how a path is written.
type manner uint8

const (
	replaced   manner = iota // by a rename
	through                  // opened, and written directly
	descriptor               // an open descriptor of this process
)

// target is the destination of a path.
type target struct {
	how  manner
	path string // links resolved, if it is replaced
	fd   int
	info fs.FileInfo // nil for a file that does not exist
}

// find determines the destination of a path.
func find(path string) (target, error) {
	if path == "" {
		return target{}, fmt.Errorf("%w: the path is empty", ErrTarget)
	}
	final := path
	for range maxLinks {
		if fd, ok := descriptorOf(final); ok {
			return target{how: descriptor, path: path, fd: fd}, nil
		}
		info, err := os.Lstat(final)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return absent(path, final)
		case err != nil:
			return target{}, err //nolint:wrapcheck // *fs.PathError names the path
		case info.Mode()&fs.ModeSymlink != 0:
			if final, err = follow(final); err != nil {
				return target{}, err
			}
			continue
		}
		return existing(path, final, info)
	}
	return target{}, &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
}

// follow is the target of a link. A relative target starts at the folder that
// contains the link, wherever earlier links led.
func follow(link string) (string, error) {
	to, err := os.Readlink(link)
	if err != nil {
		return "", err //nolint:wrapcheck // *fs.PathError names the path
	}
	if filepath.IsAbs(to) {
		return to, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(link))
	if err != nil {
		return "", err //nolint:wrapcheck // *fs.PathError names the path
	}
	return dir + string(filepath.Separator) + to, nil
}

// absent is a file to be created.
func absent(path, final string) (target, error) {
	info, err := os.Stat(filepath.Dir(final))
	if err != nil {
		return target{}, err //nolint:wrapcheck // *fs.PathError names the path
	}
	if !info.IsDir() {
		return target{}, &fs.PathError{Op: "create", Path: path, Err: syscall.ENOTDIR}
	}
	if os.IsPathSeparator(final[len(final)-1]) {
		return target{}, fmt.Errorf("%w: %s names a folder that is not there", ErrTarget, path)
	}
	return target{path: final}, nil
}

// existing is an existing target.
func existing(path, final string, info fs.FileInfo) (target, error) {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		// A rename does not check the permission to write the file itself.
		f, err := os.OpenFile(final, os.O_WRONLY, 0)
		if err != nil {
			return target{}, err //nolint:wrapcheck // *fs.PathError names the path
		}
		return target{path: final, info: info}, f.Close() //nolint:wrapcheck // nothing was written
	case mode.IsDir():
		return target{}, fmt.Errorf("%w: %s is a folder", ErrTarget, path)
	case mode&fs.ModeNamedPipe != 0, mode&fs.ModeCharDevice != 0:
		return target{how: through, path: final, info: info}, nil
	case mode&fs.ModeSocket != 0:
		return target{}, fmt.Errorf("%w: %s is a socket", ErrTarget, path)
	case mode&fs.ModeDevice != 0:
		return target{}, fmt.Errorf("%w: %s is a block device", ErrTarget, path)
	}
	return target{}, fmt.Errorf("%w: %s is of type %v", ErrTarget, path, info.Mode().Type())
}
