package worker

import (
	"errors"
	"syscall"
	"time"
)

// acceptPause is how long accepting rests when descriptors run out.
const acceptPause = 50 * time.Millisecond

// temporary reports whether accepting can go on after err.
func temporary(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// pause waits a moment and reports whether the server is still open.
func (s *Server) pause() bool {
	t := time.NewTimer(acceptPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}
