package wire

import (
	"sync/atomic"
	"time"
)

// Hold counts the buffers of a message that a pipe still reads after
// WriteBuffers has returned.
type Hold struct {
	n    atomic.Int64
	free chan struct{}
}

func newHold() *Hold {
	h := &Hold{free: make(chan struct{})}
	h.n.Store(1)
	return h
}

// Add says that a pipe continues to read a buffer.
func (h *Hold) Add() { h.n.Add(1) }

// Done takes an Add back.
func (h *Hold) Done() {
	if h.n.Add(-1) == 0 {
		close(h.free)
	}
}

// wait returns when no reader of the buffers remains. After the connection is
// closed, a remaining reader stops at its next write, which wait bounds by a
// short time.
func (h *Hold) wait(closed <-chan struct{}) {
	h.Done()
	h.await(closed)
}

// await is wait for a Hold that is already Done. It reports whether no reader
// of the buffers remains.
func (h *Hold) await(closed <-chan struct{}) bool {
	select {
	case <-h.free:
		return true
	default:
	}
	select {
	case <-h.free:
		return true
	case <-closed:
		t := time.NewTimer(StallTimeout / 4)
		defer t.Stop()
		select {
		case <-h.free:
			return true
		case <-t.C:
			return false
		}
	}
}
