//go:build !unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
)

const (
	nonBlocking = 0
	noTerminal  = 0
)

var errNoReader = errors.New("genie: no process reads this pipe")

// descriptorOf finds none: no path stands for a descriptor on this system.
func descriptorOf(string) (int, bool) { return 0, false }

func duplicate(int) (*os.File, error) { return nil, errors.ErrUnsupported }

// likeBefore gives a new file the permissions of the one that it replaces.
func likeBefore(f *os.File, was fs.FileInfo) error {
	return f.Chmod(was.Mode().Perm()) //nolint:wrapcheck // the caller says what for
}
