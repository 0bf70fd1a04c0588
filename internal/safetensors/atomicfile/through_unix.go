//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	nonBlocking = syscall.O_NONBLOCK
	noTerminal  = syscall.O_NOCTTY
)

// errNoReader is the error of opening a pipe without a reader.
const errNoReader = syscall.ENXIO

// descriptorOf is the descriptor of this process that a path stands for. The
// links below /dev and /proc do not help: their targets may be gone, or be
// another program's files by now.
func descriptorOf(path string) (int, bool) {
	path = filepath.Clean(path)
	for i, name := range [...]string{"/dev/stdin", "/dev/stdout", "/dev/stderr"} {
		if path == name {
			return i, true
		}
	}
	for _, dir := range [...]string{"/dev/fd/", "/proc/self/fd/", "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/"} {
		if text, ok := strings.CutPrefix(path, dir); ok {
			n, err := strconv.ParseUint(text, 10, 31)
			return int(n), err == nil
		}
	}
	return 0, false
}

// duplicate is another descriptor of the same open file: it writes where the
// process writes next, not over earlier output.
func duplicate(fd int) (*os.File, error) {
	name := "/dev/fd/" + strconv.Itoa(fd)
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	n, err := syscall.Dup(fd)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	syscall.CloseOnExec(n)
	return os.NewFile(uintptr(n), name), nil
}

// likeBefore gives a new file the permissions and, if allowed, the owner of the
// one that it replaces.
func likeBefore(f *os.File, was fs.FileInfo) error {
	if now, err := f.Stat(); err == nil {
		a, ok := was.Sys().(*syscall.Stat_t)
		b, also := now.Sys().(*syscall.Stat_t)
		if ok && also && (a.Uid != b.Uid || a.Gid != b.Gid) {
			_ = f.Chown(int(a.Uid), int(a.Gid))
		}
	}
	return f.Chmod(was.Mode().Perm()) //nolint:wrapcheck // the caller says what for
}
