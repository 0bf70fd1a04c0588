package worker

import "github.com/genie-sdk/go/internal/engine"

// The limits that tests go to.
const (
	QueueLen       = queueLen
	MaxHeaderList  = maxHeaderList
	MaxGRPCStreams = maxGRPCStreams
	MaxPartials    = maxPartials
	MaxRemembered  = maxRemembered
)

// Defaults are the options of a server that is given none.
var Defaults = Options{}.withDefaults()

// Lapse lets the time of every session that waits for its client be over now.
func (s *Server) Lapse() {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	for _, l := range s.leases.byKey {
		if l.lapse != nil {
			l.lapse.Reset(0)
		}
	}
}

// Part is how many bytes there are of a weight whose upload was cut short.
func (s *Server) Part(key engine.WeightKey) int64 {
	got, _ := s.partials.look(key)
	return got
}
