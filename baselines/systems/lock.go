package systems

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// errLocked is the cause of errors about a file that another one has locked.
var errLocked = errors.New("genie: locked")

// lockFile locks a file, which it makes, for this one alone or with others that
// share it. It does not wait. The system releases what a killed process held.
func lockFile(path string, shared bool) (release func(), err error) {
	for range 10 { // each one that failed found a file that its owner just removed
		l := flock.New(path, flock.SetPermissions(0o600))
		try := l.TryLock
		if shared {
			try = l.TryRLock
		}
		ok, err := try()
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		if !ok {
			_ = l.Close()
			return nil, errLocked
		}
		held, err := l.Stat()
		if named, e := os.Stat(path); err == nil && e == nil && os.SameFile(held, named) {
			return func() { _ = l.Close() }, nil
		}
		_ = l.Close()
	}
	return nil, fmt.Errorf("genie: %s: cannot be locked", path)
}

// lockSetup keeps a second setup out.
func lockSetup(path string) (unlock func(), err error) {
	release, err := lockFile(path, false)
	if errors.Is(err, errLocked) {
		text, _ := os.ReadFile(path)
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, errors.New("genie: another process is setting the environment up")
		}
		return nil, fmt.Errorf("genie: process %d is setting the environment up", pid)
	}
	if err != nil {
		return nil, err
	}
	// For the other one to say. Where a lock keeps writers out it stays empty.
	_ = os.WriteFile(path, strconv.AppendInt(nil, int64(os.Getpid()), 10), 0o600)
	return func() {
		_ = os.Remove(path) // before it is released: then it may be another one's
		release()
	}, nil
}
