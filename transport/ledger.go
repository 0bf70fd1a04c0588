package transport

import (
	"slices"
	"sync/atomic"

	"github.com/genie-sdk/go/transport/plan"
)

// Ledger counts the bytes of an executor's connections by direction and cause.
// Totals are counted at the socket and causes frame by frame, so their
// agreement is a check. The zero Ledger is ready to use. All methods are safe
// for concurrent use.
type Ledger struct {
	sent, received             [plan.NumCauses]atomic.Int64
	socketSent, socketReceived atomic.Int64
	sharedSent, sharedReceived atomic.Int64
	roundTrips                 atomic.Int64

	of []*Ledger // added to what this one counts
}

// SumLedgers is a ledger that counts what the given ones count, and what is added
// to itself.
func SumLedgers(of ...*Ledger) *Ledger { return &Ledger{of: slices.Clone(of)} }

// AddSent counts n bytes of a frame that was sent.
func (l *Ledger) AddSent(c plan.Cause, n int) { l.sent[c].Add(int64(n)) }

// AddReceived counts n bytes of a frame that was received.
func (l *Ledger) AddReceived(c plan.Cause, n int) { l.received[c].Add(int64(n)) }

// AddSocket counts bytes that a socket wrote and read.
func (l *Ledger) AddSocket(sent, received int) {
	if sent != 0 {
		l.socketSent.Add(int64(sent))
	}
	if received != 0 {
		l.socketReceived.Add(int64(received))
	}
}

// AddShared counts bytes that went through memory shared with the peer instead
// of the socket. They are bytes of the connection all the same, so they are
// among those of [Ledger.AddSocket] too.
func (l *Ledger) AddShared(sent, received int) {
	l.AddSocket(sent, received)
	l.sharedSent.Add(int64(sent))
	l.sharedReceived.Add(int64(received))
}

// AddRoundTrips counts requests that wait for their answers. A negative n takes
// back requests that were not sent in the end.
func (l *Ledger) AddRoundTrips(n int64) { l.roundTrips.Add(n) }

// Snapshot is the state of a ledger at one moment.
type Snapshot struct {
	Sent           ByCause `json:"sent"`
	Received       ByCause `json:"received"`
	SocketSent     int64   `json:"socket_sent"`
	SocketReceived int64   `json:"socket_received"`
	// Those of SocketSent and SocketReceived that went through shared memory.
	SharedSent     int64 `json:"shared_sent,omitempty"`
	SharedReceived int64 `json:"shared_received,omitempty"`
	RoundTrips     int64 `json:"round_trips"`
}

// ByCause is bytes by cause, indexed by [plan.Cause].
type ByCause [plan.NumCauses]int64

// Total is the sum over all causes.
func (b ByCause) Total() (n int64) {
	for _, v := range b {
		n += v
	}
	return n
}

// Map is the same by name, causes without bytes included.
func (b ByCause) Map() map[string]int64 {
	m := make(map[string]int64, len(b))
	for c, v := range b {
		m[plan.Cause(c).String()] = v
	}
	return m
}

// MarshalJSON writes an object with a member for each cause.
func (b ByCause) MarshalJSON() ([]byte, error) { return marshalMap(b.Map()) }

// Snapshot reads the counters. It is exact when nothing is in flight.
func (l *Ledger) Snapshot() Snapshot {
	var s Snapshot
	for i := range s.Sent {
		s.Sent[i] = l.sent[i].Load()
		s.Received[i] = l.received[i].Load()
	}
	s.SocketSent, s.SocketReceived = l.socketSent.Load(), l.socketReceived.Load()
	s.SharedSent, s.SharedReceived = l.sharedSent.Load(), l.sharedReceived.Load()
	s.RoundTrips = l.roundTrips.Load()
	for _, one := range l.of {
		s = s.Add(one.Snapshot())
	}
	return s
}

// Add is what s and o counted.
func (s Snapshot) Add(o Snapshot) Snapshot { return s.Sub(Snapshot{}.Sub(o)) } // the counters are listed once

// Sub is what was counted between o and s.
func (s Snapshot) Sub(o Snapshot) Snapshot {
	for i := range s.Sent {
		s.Sent[i] -= o.Sent[i]
		s.Received[i] -= o.Received[i]
	}
	s.SocketSent -= o.SocketSent
	s.SocketReceived -= o.SocketReceived
	s.SharedSent -= o.SharedSent
	s.SharedReceived -= o.SharedReceived
	s.RoundTrips -= o.RoundTrips
	return s
}
