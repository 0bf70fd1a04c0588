package worker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// keyed is what a session with a key has besides.
type keyed struct {
	key    []byte // nil for none
	number uint64 // of the last request
	sure   uint64 // of the last that is known to have been done
	done   *done  // what it must be answered when it is made again; nil when that is not known
}

// done is a numbered request that was done.
type done struct {
	typ     wire.Type
	number  uint64
	control []byte
	payload []byte
	gone    bool // it is not done again, and its answer is not retained
	answer  [2][]byte
}

// answered remembers what a numbered request was answered, as the worker does.
func (t *tenant) answered(r *asked, code uint32, control, payload []byte) {
	d := &done{typ: r.typ, number: r.number, control: r.control, payload: r.payload, answer: [2][]byte{slices.Clone(control), payload}}
	switch {
	case r.typ == wire.TypeLoop && r.frames == 1 && code == 0:
		d.gone = true // it has begun, however it ends
	case r.typ == wire.TypeLoop && r.frames > 1:
		return
	case r.typ == wire.TypeLoop:
		d = nil // it may have been begun
	case code != 0:
		return // it was not done, and may be done under the same number
	}
	if d != nil && d.number > t.sure {
		t.sure = d.number
	}
	t.done = d
}

// giveNumber numbers a request; false for one that has none.
func giveNumber(control proto.Message, number uint64) bool {
	switch c := control.(type) {
	case *wirepb.Run:
		c.Seq = number
	case *wirepb.Loop:
		if c.GetRun() == nil {
			return false
		}
		c.Run.Seq = number
	case *wirepb.Reset:
		c.Seq = number
	case *wirepb.Prepare:
		c.Seq = number
	default:
		return false
	}
	return true
}

// newKey is a key that no session has had.
func (m *machine) newKey() []byte {
	m.lab.lastKey++
	return binary.BigEndian.AppendUint64(make([]byte, 8+m.below(49)), m.lab.lastKey)
}

// resend makes a numbered request again, as it was.
func (m *machine) resend(r *asked, control, payload []byte) bool {
	m.last++
	m.mu.Lock()
	t := r.tenant
	t.seq++
	r.seq = t.seq
	if r.typ == wire.TypeLoop {
		t.loops++
	}
	m.pending[m.last] = r
	m.mu.Unlock()
	return m.write(rawFrame{typ: r.typ, stream: m.last, control: control, payload: payload}.bytes(m.sent))
}

// again makes the request that was done last once more: it is answered as it
// was, to the byte, and nothing is done.
func (m *machine) again() bool {
	m.sync()
	_, t := m.session()
	m.mu.Lock()
	var d *done
	if t != nil && t.key != nil && t.loops == 0 && !m.ended {
		d = t.done
	}
	m.mu.Unlock()
	if d == nil {
		return true
	}
	r := &asked{typ: d.typ, tenant: t, may: oneOf(nil), succeeded: func(control, payload []byte, _ bool) error {
		if !bytes.Equal(control, d.answer[0]) || !bytes.Equal(payload, d.answer[1]) {
			return fmt.Errorf("number %d was answered %x %x and is now %x %x", d.number, d.answer[0], d.answer[1], control, payload)
		}
		return nil
	}}
	if d.gone {
		r.may = oneOf(transport.ErrSessionLost)
	}
	payload := slices.Clone(d.payload)
	if len(payload) > 0 && d.typ == wire.TypeRun && m.below(2) == 0 { // it is the number that counts
		payload[m.byte()%len(payload)] ^= 1
	}
	return m.resend(r, d.control, payload)
}

// older asks for something under a number that comes before one that was done.
func (m *machine) older() bool {
	num, t := m.session()
	if t == nil || t.key == nil {
		return true
	}
	m.mu.Lock()
	sure := t.sure
	m.mu.Unlock()
	if sure < 2 {
		return true
	}
	r := &asked{typ: wire.TypeReset, tenant: t, may: oneOf(transport.ErrSessionLost)}
	return m.resend(r, marshal(&wirepb.Reset{Session: num, Seq: 1 + uint64(m.byte())%(sure-1)}), nil)
}

// wrongKey opens a session with a key that does not do.
func (m *machine) wrongKey() bool {
	req := &wirepb.OpenSession{Session: 4, Key: m.newKey(), Resume: true}
	r := &asked{typ: wire.TypeOpenSession, may: oneOf(transport.ErrSessionLost)}
	num, t := m.session()
	switch m.below(5) {
	case 0:
		req.Key, r.may = make([]byte, []int{1, 15, 65, 200}[m.below(4)]), oneOf(transport.ErrProtocol)
	case 1:
		if t != nil && t.key != nil { // open on this very connection
			req.Key, req.Resume, r.may = t.key, m.below(2) == 0, oneOf(transport.ErrProtocol)
		}
	case 2:
		if len(m.dead) > 0 {
			req.Key = m.dead[m.below(len(m.dead))]
		}
	case 3:
		if t == nil {
			break
		}
		req.Session, req.Resume, r.may = num, false, oneOf(transport.ErrProtocol)
		m.dead = append(m.dead, req.GetKey()) // nothing is held under it
	}
	return m.request(r, req, nil, nil)
}

// calm waits until nothing is under way: what cannot end is cancelled, and what
// has no answer has been done.
func (m *machine) calm() bool {
	m.leave()
	m.mu.Lock()
	open := m.tenants()
	m.mu.Unlock()
	for _, t := range open {
		r := &asked{typ: wire.TypeRead, tenant: t, may: oneOf(transport.ErrStaleHandle)}
		if !m.request(r, &wirepb.Read{Session: t.num, Handle: &wirepb.Handle{Id: 1 << 40}}, nil, nil) {
			return false
		}
	}
	m.sync()
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.ended
}

// tenants are the sessions that have a key, in order. The lock is held.
func (m *machine) tenants() (list []*tenant) {
	for _, num := range []uint32{1, 2} {
		if t := m.open[num]; t != nil && t.key != nil {
			list = append(list, t)
		}
	}
	return list
}

// lose ends the connection, with a running request or without, and resumes on
// another one: in time, from the side, or too late.
func (m *machine) lose() bool {
	if !m.calm() {
		return false
	}
	how := m.below(4)
	short := m.below(4) == 0
	if short {
		m.cut = 1 + m.byte()
	}
	under := []func() bool{m.sync, m.run, m.run, m.run, m.loop, m.resetSession}
	if !under[m.below(len(under))]() {
		return false
	}
	if m.cut = 0; !short && m.below(2) == 0 {
		m.sync()
	}
	old := m.link
	switch how {
	case 0: // taken from a connection that is still there
		m.connect()
		if !m.join(false) {
			return false
		}
		m.mu.Lock()
		none := len(m.tenants()) == 0
		m.mu.Unlock()
		if none {
			_ = old.conn.Close()
		}
		m.over(old)
	case 1: // too late
		_ = old.conn.Close()
		m.over(old)
		m.lapse()
		m.connect()
		return m.late()
	default:
		_ = old.conn.Close()
		m.over(old)
		m.connect()
		if !m.join(true) {
			return false
		}
	}
	return m.settle()
}

// over waits for the end of a connection.
func (m *machine) over(l *machineLink) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.done:
	case <-timer.C:
		require.Fail(m.t, "a connection whose sessions were taken does not end")
	}
	m.mu.Lock()
	broken := m.broken
	m.mu.Unlock()
	require.NoError(m.t, broken)
}

// join takes the sessions with keys to this connection.
func (m *machine) join(mayResume bool) bool {
	m.mu.Lock()
	open := m.tenants()
	m.mu.Unlock()
	for _, t := range open {
		resume := !mayResume || m.below(2) == 0 // without that a known key joins, too
		r := &asked{typ: wire.TypeOpenSession, may: oneOf(nil)}
		if !m.request(r, &wirepb.OpenSession{Session: t.num, Key: t.key, Resume: resume}, nil, nil) {
			return false
		}
	}
	return true
}

// settle retries requests whose answer was lost with their connection, and
// forgets what else was running on it.
func (m *machine) settle() bool {
	m.wait("sessions to be joined", func() bool {
		for _, r := range m.pending {
			if r.typ == wire.TypeOpenSession {
				return m.ended
			}
		}
		return true
	})
	m.mu.Lock()
	var lost []*asked
	for stream, r := range m.pending {
		if r.number > 0 && r.tenant == m.open[r.tenant.num] {
			lost = append(lost, r)
		}
		if r.typ == wire.TypeLoop && r.tenant != nil {
			r.tenant.loops--
		}
		delete(m.pending, stream)
	}
	clear(m.strays)
	clear(m.rest)
	for num, t := range m.open {
		if t.key == nil {
			delete(m.open, num)
		}
	}
	m.mu.Unlock()
	for _, r := range lost {
		r.may = r.whole
		if r.typ == wire.TypeLoop {
			if r.frames > 0 { // it was begun
				r.may = 0
			}
			r.may |= oneOf(transport.ErrSessionLost) // it may have been
		}
		r.frames = 0
		if !m.resend(r, r.control, r.payload) {
			return false
		}
	}
	return true
}

// lapse waits until the sessions are held, and lets the time of them be over.
func (m *machine) lapse() {
	m.mu.Lock()
	n := len(m.tenants())
	m.mu.Unlock()
	m.await("sessions are not held", func() bool { return m.lab.server.Detached() == n })
	m.lab.server.Lapse()
	m.await("sessions are held for too long", func() bool {
		return m.lab.server.Detached() == 0 && m.lab.engine.Stats().Sessions == m.lab.stats.Sessions
	})
}

// await polls the worker for changes that no message announces.
func (m *machine) await(what string, ok func() bool) {
	deadline := time.Now().Add(patience)
	for wait := 10 * time.Microsecond; !ok(); wait = min(2*wait, 10*time.Millisecond) {
		require.True(m.t, time.Now().Before(deadline), what)
		<-time.After(wait)
	}
}

// late comes back to sessions that have lapsed: they are lost, and their keys
// good for others, which have nothing of them.
func (m *machine) late() bool {
	m.mu.Lock()
	open := m.tenants()
	clear(m.open)
	clear(m.pending)
	clear(m.strays)
	clear(m.rest)
	m.mu.Unlock()
	for _, old := range open {
		r := &asked{typ: wire.TypeOpenSession, may: oneOf(transport.ErrSessionLost)}
		if !m.request(r, &wirepb.OpenSession{Session: old.num, Key: old.key, Resume: true}, nil, nil) {
			return false
		}
		t := newTenant(old.num)
		t.key = old.key
		t.gone = slices.Concat(old.gone, old.order)
		m.mu.Lock()
		m.open[old.num] = t
		m.mu.Unlock()
		if !m.request(&asked{typ: wire.TypeOpenSession, may: oneOf(nil)}, &wirepb.OpenSession{Session: t.num, Key: t.key}, nil, nil) {
			return false
		}
	}
	return true
}
