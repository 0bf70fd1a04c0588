package worker

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// maxRemembered bounds the payload of an answer that a session remembers.
const maxRemembered = 1 << 20

// remembered is the answer to the last numbered request that changed a session.
// A client has one such request at a time, so one is enough. The session's
// goroutine owns it.
type remembered struct {
	seq     uint64
	control proto.Message
	payload []byte
	parts   []wire.Segment // of the payload, with their causes
	gone    bool           // the request was done, but its answer is not retained
	held    int64          // bytes that the tenant has paid for
}

// once does a numbered request unless it was already done; then it gives the
// same answer again.
func (t *task) once(ctx context.Context) (answer, error) {
	m := &t.session.last
	switch {
	case t.seq == m.seq && !m.gone:
		return answer{control: m.control, payload: m.parts}, nil
	case t.seq == m.seq:
		return answer{}, fmt.Errorf("%w: request %d was begun before its connection was lost, and its answer is not retained", transport.ErrSessionLost, t.seq)
	case t.seq < m.seq:
		return answer{}, fmt.Errorf("%w: request %d comes after request %d", transport.ErrSessionLost, t.seq, m.seq)
	}
	known := false
	defer func() {
		if !known { // a panic: its progress is unknown
			m.forget(t.seq)
		}
	}()
	a, err := t.do(ctx)
	known = true
	switch {
	case t.begun != nil && t.begun():
		m.forget(t.seq)
	case err == nil:
		m.set(t.session, t.seq, a)
	}
	return a, err
}

// set remembers an answer, if it is small enough and there is memory for it.
func (m *remembered) set(s *session, seq uint64, a answer) {
	n := int(wire.Len(a.payload))
	control := 0
	if a.control != nil {
		control = proto.Size(a.control) * controlFactor
	}
	if n > maxRemembered || control > maxRemembered || !m.makeRoom(s, n, control) {
		m.forget(seq)
		return
	}
	m.seq, m.control, m.gone = seq, a.control, false
	m.payload = m.payload[:0]
	m.parts = m.parts[:0]
	for _, s := range a.payload {
		from := len(m.payload)
		m.payload = append(m.payload, s.Data...)
		m.parts = append(m.parts, wire.Segment{Data: m.payload[from:], Cause: s.Cause})
	}
}

// makeRoom makes the memory large enough, charged to the tenant.
func (m *remembered) makeRoom(s *session, payload, control int) bool {
	need := int64(max(payload, cap(m.payload)) + control)
	if more := need - m.held; more > 0 {
		if s.srv.charge(s.tenant, more, "an answer to remember") != nil {
			return false
		}
		m.held = need
	}
	if payload > cap(m.payload) {
		m.payload = make([]byte, 0, payload)
	}
	return true
}

// drop frees the memory.
func (m *remembered) drop(s *session) {
	s.srv.uncharge(s.tenant, m.held)
	*m = remembered{seq: m.seq, gone: true}
}

// forget remembers that a request was done, without its answer.
func (m *remembered) forget(seq uint64) {
	*m = remembered{seq: seq, payload: m.payload[:0], gone: true, held: m.held}
}
