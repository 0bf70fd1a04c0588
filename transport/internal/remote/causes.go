package remote

import (
	"sync"

	"github.com/genie-sdk/go/transport"
)

// saidCauses is what the client has reported to the worker about the causes of
// a plan's inputs. It reports them with the first run, and again when a run
// differs.
type saidCauses struct {
	mu   sync.Mutex
	list []uint32
}

// differ returns the causes that a run has to send, nil for none.
func (s *saidCauses) differ(inputs []transport.Input) []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := len(s.list) == len(inputs)
	for i := range s.list {
		same = same && s.list[i] == uint32(inputs[i].Cause)
	}
	if same {
		return nil
	}
	s.list = make([]uint32, len(inputs))
	for i, in := range inputs {
		s.list[i] = uint32(in.Cause)
	}
	return s.list
}

// forget is called when a run failed and may not have arrived.
func (s *saidCauses) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = nil
}
