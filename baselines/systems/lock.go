package systems

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// errLocked is the cause of errors about a file that another process has
// locked.
var errLocked = errors.New("genie: locked")

// lockFile creates and locks a file, exclusively or shared. It does not wait.
// The system releases the locks of a killed process.
func lockFile(path string, shared bool) (release func(), err error) {
	for range 10 { // each failed attempt found a file that its owner had just removed
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

// lockSetup prevents a second concurrent setup.
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
	// For the other setup to report. Where a lock blocks writers it stays
	// empty.
	_ = os.WriteFile(path, strconv.AppendInt(nil, int64(os.Getpid()), 10), 0o600)
	return func() {
		_ = os.Remove(path) // before the release: afterwards it may belong to another process
		release()
	}, nil
}
