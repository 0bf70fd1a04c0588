package worker

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// keptValue is a value that a session keeps.
type keptValue struct {
	h        transport.Handle
	cause    plan.Cause // what it counts as when it is read
	released bool       // by the client; requests before that may still use it
}

// leaving is a value that goes when so many requests are done.
type leaving struct {
	h     transport.Handle
	after uint64
}

// mayKeep reports whether the session may keep n values more.
func (s *session) mayKeep(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 && len(s.kept)+n > wire.MaxRetained {
		return fmt.Errorf("%w: the session retains %d values, the run %d more, the limit is %d", transport.ErrLimit, len(s.kept), n, wire.MaxRetained)
	}
	return nil
}

// keeps remembers what a kept value counts as.
func (s *session) keeps(h transport.Handle, c plan.Cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[h.ID] = &keptValue{h: h, cause: c}
}

func (s *session) causeOf(id uint64) plan.Cause {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.kept[id]; v != nil {
		return v.cause
	}
	return plan.CauseActivation
}

// release is Release: each value goes once the requests before this one are done.
// It has no answer, so nobody would make it again: it takes no place in the
// queue, which may be full, and only values that are kept are remembered.
func (s *session) release(handles []*wirepb.Handle) {
	s.marks(handles)
	s.letGo()
}

// marks notes which values are to go, and after which request.
func (s *session) marks(handles []*wirepb.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range handles {
		h := wire.HandleFrom(m)
		if v := s.kept[h.ID]; v != nil && v.h == h && !v.released {
			v.released = true
			s.leaving = append(s.leaving, leaving{h, s.queued})
		}
	}
}

// served counts a request that is done.
func (s *session) served() {
	s.mu.Lock()
	s.finished++
	s.mu.Unlock()
	s.letGo()
}

// letGo gives up the values that nothing uses any more.
func (s *session) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.leaving) && s.leaving[n].after <= s.finished {
		h := s.leaving[n].h
		s.es.Release(h)
		delete(s.kept, h.ID)
		n++
	}
	if s.leaving = s.leaving[n:]; len(s.leaving) == 0 {
		s.leaving = nil
	}
}
