package engine

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
)

// Rewind shortens states to which runs append. It waits for the running call.
// When one of them does not fit, none is changed. The memory stays: the next runs
// write to it.
func (s *Session) Rewind(to []transport.StateLength) error {
	s.run.Lock()
	defer s.run.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	for _, t := range to {
		switch st := s.states[t.Name]; {
		case st == nil && t.Length == 0:
		case st == nil:
			return fmt.Errorf("%w: the session has no state %.80q", transport.ErrState, t.Name)
		case st.lost:
			return lostState(t.Name)
		case st.axis < 0:
			return fmt.Errorf("%w: %q is not appended to (%v), it cannot be shortened", transport.ErrState, t.Name, st.mode)
		case t.Length < 0 || t.Length > st.shape[st.axis]:
			return fmt.Errorf("%w: %q has %d positions, it cannot be shortened to %d", transport.ErrState, t.Name, st.shape[st.axis], t.Length)
		}
	}
	for _, t := range to {
		if st := s.states[t.Name]; st != nil {
			st.shape[st.axis] = t.Length
		}
	}
	return nil
}
