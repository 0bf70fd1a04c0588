package worker_test

import (
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// data continues a message, or sends a piece of none.
func (m *machine) data() bool {
	streams := make([]uint64, 0, len(m.rest))
	for stream := range m.rest {
		streams = append(streams, stream)
	}
	if len(streams) == 0 || m.below(5) == 0 {
		stream := uint64(1<<41 + m.byte())
		m.mu.Lock()
		m.strays[stream]++
		m.mu.Unlock()
		return m.write(rawFrame{typ: wire.TypeData, stream: stream, payload: make([]byte, m.below(5))}.bytes(m.sent))
	}
	slices.Sort(streams)
	stream := streams[m.below(len(streams))]
	rest := m.rest[stream]
	f := rawFrame{typ: wire.TypeData, stream: stream, payload: rest}
	switch m.below(6) {
	case 0: // a part
		n := m.byte() % (len(rest) + 1)
		f.payload, f.flags, m.rest[stream] = rest[:n], wire.FlagMore, rest[n:]
		return m.write(f.bytes(m.sent))
	case 1: // ends early
		f.payload = rest[:len(rest)/2]
		m.permit(stream, len(rest) > 0)
	case 2: // continues for too long
		f.payload = append(slices.Clone(rest), 7)
		m.permit(stream, true)
	}
	delete(m.rest, stream)
	m.mu.Lock()
	if r := m.pending[stream]; r != nil {
		r.partial = false
		if t := r.tenant; t != nil { // its turn comes when it is complete
			t.seq++
			r.seq = t.seq
		}
	}
	m.mu.Unlock()
	return m.write(f.bytes(m.sent))
}

// permit says that a request will be refused for its length.
func (m *machine) permit(stream uint64, wrong bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.pending[stream]; r != nil && wrong {
		r.may = r.may&^1 | oneOf(transport.ErrProtocol)
	}
}

// raw sends a request whose control message is the fuzzer's.
func (m *machine) raw() bool {
	types := []wire.Type{
		wire.TypeRun, wire.TypeLoop, wire.TypePrepare, wire.TypePutWeight, wire.TypeRead, wire.TypeReset,
		wire.TypeOpenSession, wire.TypeCloseSession, wire.TypeHello, wire.TypeError, 77, 255,
		wire.TypeTicket, wire.TypeSend, wire.TypeDeliver,
	}
	typ := types[m.below(len(types))]
	control := make([]byte, m.below(24))
	for i := range control {
		control[i] = byte(m.byte())
	}
	if touches(typ, control) {
		return true
	}
	m.last++
	m.mu.Lock()
	m.pending[m.last] = &asked{typ: typ, may: anything, succeeded: func([]byte, []byte, bool) error { return nil }}
	m.mu.Unlock()
	return m.write(rawFrame{typ: typ, stream: m.last, control: control, payload: make([]byte, m.below(3))}.bytes(m.sent))
}

// touches reports whether a control message is one that names a session of the
// model, which would then not know what it did.
func touches(typ wire.Type, control []byte) bool {
	var m interface {
		proto.Message
		GetSession() uint32
	}
	switch typ {
	case wire.TypeRun:
		m = &wirepb.Run{}
	case wire.TypePrepare:
		m = &wirepb.Prepare{}
	case wire.TypePutWeight:
		m = &wirepb.PutWeight{}
	case wire.TypeRead:
		m = &wirepb.Read{}
	case wire.TypeReset:
		m = &wirepb.Reset{}
	case wire.TypeTicket:
		m = &wirepb.Ticket{}
	case wire.TypeSend:
		m = &wirepb.Send{}
	case wire.TypeOpenSession:
		var open wirepb.OpenSession
		if proto.Unmarshal(control, &open) == nil && len(open.GetKey()) > 0 {
			return true // a session that outlives the connection
		}
		m = &open
	case wire.TypeCloseSession:
		m = &wirepb.CloseSession{}
	case wire.TypeLoop:
		var l wirepb.Loop
		if proto.Unmarshal(control, &l) != nil {
			return false
		}
		n := l.GetRun().GetSession()
		return n >= 1 && n <= 3
	default:
		return false
	}
	if proto.Unmarshal(control, m) != nil {
		return false
	}
	return m.GetSession() >= 1 && m.GetSession() <= 3
}

// ruin ends the connection with something that cannot be followed.
func (m *machine) ruin() {
	protocol, limit := oneOf(transport.ErrProtocol), oneOf(transport.ErrLimit)
	stats := func(f rawFrame) []byte {
		f.typ = wire.TypeStats
		if f.stream == 0 {
			f.stream = m.last + 1
		}
		return f.bytes(m.sent)
	}
	spoil := func(change func([]byte)) []byte {
		return stats(rawFrame{spoil: func(b []byte) []byte { change(b); return b }})
	}
	var b []byte
	switch why := m.below(12); why {
	case 0:
		b, m.fatal = append([]byte("none"), make([]byte, m.byte())...), protocol
	case 1:
		b, m.fatal = []byte("GET / HTTP/1.1\r\n\r\n"), protocol
	case 2:
		b, m.fatal = spoil(func(b []byte) { b[4] = 7 }), oneOf(transport.ErrCorrupt) // the hello had the right one
	case 3:
		b, m.fatal = spoil(func(b []byte) { binary.LittleEndian.PutUint64(b[16:], 1<<40) }), limit
	case 4:
		b, m.fatal = spoil(func(b []byte) { binary.LittleEndian.PutUint64(b[24:], wire.MaxFramePayload+1) }), limit
	case 5:
		b, m.fatal = spoil(func(b []byte) { b[37] ^= 1 }), oneOf(transport.ErrCorrupt)
	case 6:
		b, m.fatal = stats(rawFrame{flags: 1 << 9}), protocol
	case 7:
		b, m.fatal = stats(rawFrame{flags: wire.FlagAnswer}), protocol
	case 8:
		b, m.fatal = rawFrame{typ: []wire.Type{wire.TypeRun, wire.TypeHello, wire.TypeCredit, wire.TypeData}[m.below(4)]}.bytes(m.sent), protocol
	case 9:
		b, m.fatal = rawFrame{typ: wire.TypeCredit, stream: 1 << 42, control: []byte{0xff}}.bytes(m.sent), protocol
	case 10: // a stream that is in use
		for stream := range m.rest {
			b, m.fatal = rawFrame{typ: wire.TypeStats, stream: stream}.bytes(m.sent), protocol
		}
		fallthrough
	default: // or no more than that
		if b == nil {
			m.mu.Lock()
			m.ended = true
			m.mu.Unlock()
			_, _ = m.link.conn.Write(stats(rawFrame{})[:m.below(40)])
			_ = m.link.conn.Close()
			return
		}
	}
	m.write(b)
	m.wait("the end of the connection", func() bool { return m.ended })
}

// sync waits for every answer that can come: not for those of unfinished
// messages, nor for what waits behind a loop without credit.
func (m *machine) sync() bool {
	m.wait("all answers", func() bool {
		if m.ended {
			return true
		}
		for _, r := range m.pending {
			if !r.partial && r.typ != wire.TypeLoop && (r.tenant == nil || r.tenant.loops == 0) {
				return false
			}
		}
		return true
	})
	return true
}

// leave ends in order: what cannot end by itself is cancelled, everything is
// answered, and nothing is due.
func (m *machine) leave() {
	for stream := range m.rest {
		m.cancel(stream)
	}
	for _, stream := range m.streams(func(r *asked) bool { return r.typ == wire.TypeLoop }) {
		m.cancel(stream)
	}
	m.wait("the last answers", func() bool {
		for _, due := range m.strays {
			if due > 0 && !m.ended {
				return false
			}
		}
		return m.ended || len(m.pending) == 0
	})
}
