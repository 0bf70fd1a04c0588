package worker

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// keptValue is a value that a session retains.
type keptValue struct {
	h        transport.Handle
	cause    plan.Cause // of its bytes when it is read
	released bool       // by the client; earlier requests may still use it
}

// leaving is a value that is freed when the given number of requests is done.
type leaving struct {
	h     transport.Handle
	after uint64
}

// mayKeep reports whether the session may retain n more values.
func (s *session) mayKeep(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 && len(s.kept)+n > wire.MaxRetained {
		return fmt.Errorf("%w: the session retains %d values, the run %d more, the limit is %d", transport.ErrLimit, len(s.kept), n, wire.MaxRetained)
	}
	return nil
}

// keeps records the cause of a retained value.
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

// release handles Release: each value is freed once the requests before this
// one are done. Release has no answer, and so is never retried: it takes no
// place in the queue, which may be full, and only retained values are recorded.
func (s *session) release(handles []*wirepb.Handle) {
	s.marks(handles)
	s.letGo()
}

// marks records which values to free, and after which request.
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

// letGo frees the values that no request uses any more.
func (s *session) letGo() {
	for _, h := range s.lettingGo() {
		s.tickets.TakeBack(h)
	}
}

// lettingGo frees them, and lists those that may have a ticket.
func (s *session) lettingGo() (gone []transport.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.leaving) && s.leaving[n].after <= s.finished {
		h := s.leaving[n].h
		if s.es.Coming(h) {
			gone = append(gone, h)
		}
		s.es.Release(h)
		delete(s.kept, h.ID)
		n++
	}
	if s.leaving = s.leaving[n:]; len(s.leaving) == 0 {
		s.leaving = nil
	}
	return gone
}
