package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// PipeWait is how long to wait for a reader of a pipe.
const PipeWait = 10 * time.Second

// pipePoll is the interval of checks for a reader of a pipe.
const pipePoll = 10 * time.Millisecond

// createThrough opens a target that is not a regular file, without truncating
// or replacing it.
func createThrough(ctx context.Context, path string, t target) (*File, error) {
	out, err := openThrough(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f := &File{path: path, final: path, out: out, through: true}
	// A reader that stops reading blocks a write for no longer than ctx.
	f.stop = context.AfterFunc(ctx, func() { _ = out.SetWriteDeadline(time.Unix(1, 0)) })
	return f, nil
}

func openThrough(ctx context.Context, t target) (*os.File, error) {
	switch {
	case t.how == descriptor:
		return duplicate(t.fd)
	case t.info.Mode()&fs.ModeNamedPipe == 0:
		f, err := os.OpenFile(t.path, os.O_WRONLY|noTerminal, 0)
		return same(f, err, t.info)
	}
	waited, cancel := context.WithTimeoutCause(ctx, PipeWait, fmt.Errorf("%w: no process reads this pipe", ErrTarget))
	defer cancel()
	look := time.NewTicker(pipePoll)
	defer look.Stop()
	for {
		f, err := os.OpenFile(t.path, os.O_WRONLY|nonBlocking, 0)
		if err == nil || !errors.Is(err, errNoReader) {
			return same(f, err, t.info)
		}
		select {
		case <-look.C:
		case <-waited.Done():
			return nil, context.Cause(waited)
		}
	}
}

// same checks that the target is still the one that was found.
func same(f *os.File, err error, was fs.FileInfo) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, was) {
		err = fmt.Errorf("%w: another file took its place", ErrTarget)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
