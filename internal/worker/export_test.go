package worker

import (
	"time"

	"github.com/genie-sdk/go/internal/engine"
)

// The limits that tests go to.
const (
	QueueLen       = queueLen
	MaxHeaderList  = maxHeaderList
	MaxGRPCStreams = maxGRPCStreams
	MaxDetached    = maxDetached
	MaxUngreeted   = maxUngreeted
	MaxPartials    = maxPartials
	MaxRemembered  = maxRemembered
)

// Defaults are the options of a server that is given none.
var Defaults = Options{}.withDefaults()

// SetHandshake shortens the time to authenticate.
func SetHandshake(o *Options, d time.Duration) { o.handshake = d }

// Strangers is the number of connections that have not authenticated.
func (s *Server) Strangers() int { return int(s.meter.Strangers.Load()) }

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

// Parts is the number of weights whose upload was interrupted.
func (s *Server) Parts() int {
	s.partials.mu.Lock()
	defer s.partials.mu.Unlock()
	return len(s.partials.held)
}

// Part is the number of received bytes of a weight whose upload was
// interrupted.
func (s *Server) Part(key engine.WeightKey) int64 {
	s.partials.mu.Lock()
	defer s.partials.mu.Unlock()
	for k, x := range s.partials.held {
		if k.weight == key {
			return x.got
		}
	}
	return 0
}

// SetClaimIdle sets how long a client that was asked to send weights may send
// nothing.
func SetClaimIdle(o *Options, d time.Duration) { o.claimIdle = d }

// Claims is the number of weights that clients have been asked to send.
func (s *Server) Claims() int {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	return len(s.claims.by)
}

// SetBrief sets how long a run may have taken for the next one to be done by the
// goroutine that receives it.
func SetBrief(o *Options, d time.Duration) { o.brief = d }
