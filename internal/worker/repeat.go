package worker

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// maxRemembered bounds the payload of an answer that a session remembers.
const maxRemembered = 1 << 20

// remembered is the answer to the last numbered request that changed a session.
// A client has one such request under way at a time, so one is enough. It is the
// session goroutine's.
type remembered struct {
	seq     uint64
	control proto.Message
	payload []byte
	parts   []wire.Segment // of payload, with what they count as
	gone    bool           // it was done, and its answer is not here
}

// once does a numbered request unless it was done, in which case it is answered
// as it was then.
func (t *task) once(ctx context.Context) (answer, error) {
	m := &t.session.last
	switch {
	case t.seq == m.seq && !m.gone:
		return answer{control: m.control, payload: m.parts}, nil
	case t.seq == m.seq:
		return answer{}, fmt.Errorf("%w: request %d was begun before its connection was lost, and its answer is not kept", transport.ErrSessionLost, t.seq)
	case t.seq < m.seq:
		return answer{}, fmt.Errorf("%w: request %d comes after request %d", transport.ErrSessionLost, t.seq, m.seq)
	}
	a, err := t.do(ctx)
	switch {
	case t.begun != nil && t.begun():
		m.forget(t.seq)
	case err == nil:
		m.set(t.seq, a)
	}
	return a, err
}

func (m *remembered) set(seq uint64, a answer) {
	if wire.Len(a.payload) > maxRemembered {
		m.forget(seq)
		return
	}
	m.seq, m.control, m.gone = seq, a.control, false
	m.payload = slices.Grow(m.payload[:0], int(wire.Len(a.payload)))
	m.parts = m.parts[:0]
	for _, s := range a.payload {
		from := len(m.payload)
		m.payload = append(m.payload, s.Data...)
		m.parts = append(m.parts, wire.Segment{Data: m.payload[from:], Cause: s.Cause})
	}
}

// forget remembers that a request was done, without its answer.
func (m *remembered) forget(seq uint64) {
	*m = remembered{seq: seq, payload: m.payload[:0], gone: true}
}
