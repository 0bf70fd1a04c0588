package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// request registers a request and sends its frames, the first of which has the
// control message.
func (m *machine) request(r *asked, control proto.Message, payload []byte, more func(f *rawFrame)) bool {
	m.last++
	if t := r.tenant; t != nil && t.key != nil && giveNumber(control, t.number+1) {
		t.number++
		r.number, r.control, r.payload, r.whole = t.number, marshal(control), payload, r.may
	}
	f := rawFrame{typ: r.typ, stream: m.last, control: marshal(control), payload: payload}
	if more != nil {
		more(&f)
	}
	r.partial = f.flags&wire.FlagMore != 0
	m.mu.Lock()
	if t := r.tenant; t != nil {
		t.seq++
		r.seq = t.seq
		if r.typ == wire.TypeLoop {
			t.looped = true
			t.loops++
		}
	}
	m.pending[m.last] = r
	m.mu.Unlock()
	return m.write(f.bytes(m.sent))
}

// session picks a session; nil when it is not open.
func (m *machine) session() (uint32, *tenant) {
	num := []uint32{1, 1, 1, 1, 2, 2, 2, 3}[m.below(8)]
	m.mu.Lock()
	defer m.mu.Unlock()
	return num, m.open[num]
}

func (m *machine) openSession() bool {
	num, t := m.session()
	r := &asked{typ: wire.TypeOpenSession, may: oneOf(transport.ErrProtocol)}
	if t == nil {
		r.may = oneOf(nil)
		t = newTenant(num)
		if m.keys && num != 3 {
			t.key = m.newKey()
		}
		m.mu.Lock()
		m.open[num] = t
		m.mu.Unlock()
		return m.request(r, &wirepb.OpenSession{Session: num, Key: t.key}, nil, nil)
	}
	return m.request(r, &wirepb.OpenSession{Session: num}, nil, nil)
}

func newTenant(num uint32) *tenant {
	return &tenant{num: num, plans: map[uint32]*numbered{}, kept: map[transport.Handle][]byte{}}
}

func (m *machine) closeSession() bool {
	num, t := m.session()
	r := &asked{typ: wire.TypeCloseSession, may: oneOf(transport.ErrClosed), tenant: t}
	if t != nil {
		r.may = oneOf(nil)
		m.mu.Lock()
		delete(m.open, num)
		t.closing = true
		if t.key != nil {
			m.dead = append(m.dead, t.key)
		}
		for _, p := range m.pending { // stopped, or answered before
			if p.tenant == t {
				p.may |= oneOf(transport.ErrClosed, context.Canceled)
			}
		}
		m.mu.Unlock()
	}
	return m.request(r, &wirepb.CloseSession{Session: num}, nil, nil)
}

func (m *machine) resetSession() bool {
	num, t := m.session()
	r := &asked{typ: wire.TypeReset, may: oneOf(transport.ErrClosed), tenant: t}
	if t != nil {
		r.may = oneOf(nil)
		r.succeeded = func(_, _ []byte, _ bool) error {
			t.sum, t.acc, t.accLost, t.rows = [2]float32{}, 0, false, nil
			return nil
		}
	}
	return m.request(r, &wirepb.Reset{Session: num}, nil, nil)
}

func (m *machine) stats() bool {
	return m.request(&asked{typ: wire.TypeStats, may: oneOf(nil), succeeded: func(control, _ []byte, _ bool) error {
		var st wirepb.Stats
		if err := proto.Unmarshal(control, &st); err != nil {
			return err
		}
		if st.GetSessions() < 1 || st.GetPid() == 0 || st.GetWeightBytes() <= 0 {
			return fmt.Errorf("statistics %v", &st)
		}
		return nil
	}}, nil, nil, nil)
}

// prepare names a plan, sends it, or says something else about it.
func (m *machine) prepare() bool {
	num, t := m.session()
	number := uint32(1 + m.below(3))
	kind := m.below(planUpload)
	k := m.lab.plans[kind][m.below(len(m.lab.plans[kind]))]
	req := &wirepb.Prepare{Session: num, Plan: number, Hash: k.hash[:]}
	payload := k.encoded
	r := &asked{typ: wire.TypePrepare, tenant: t, may: oneOf(nil)}
	sends, wrong := true, m.below(12)
	switch wrong {
	case 0:
		req.Hash, r.may = k.hash[:7], oneOf(transport.ErrProtocol)
	case 1:
		req.Model, r.may = "../models", oneOf(transport.ErrProtocol)
	case 2:
		req.PlanBytes, r.may = uint64(len(payload))+1, oneOf(transport.ErrProtocol)
	case 3:
		req.PlanBytes, payload, r.may = 1<<40, nil, oneOf(transport.ErrLimit)
	case 4:
		req.Hash, r.may = bytes.Repeat([]byte{9}, 32), oneOf(transport.ErrCorrupt)
	case 5:
		cut := payload[:len(payload)-1-m.byte()%(len(payload)/3)] // its first fields alone are a plan
		h := plan.HashEncoded(cut)
		payload, req.Hash, r.may = cut, h[:], oneOf(transport.ErrInvalidPlan)
	case 6, 7, 8:
		sends, payload = false, nil
	}
	good := wrong > 5
	switch {
	case t == nil && wrong != 0 && wrong != 1:
		r.may = oneOf(transport.ErrClosed)
	case t == nil:
		r.may = oneOf(transport.ErrClosed, transport.ErrProtocol)
	case good && !m.prepares(t, number, k, kind, r, sends):
		return true
	}
	if req.GetPlanBytes() == 0 {
		req.PlanBytes = uint64(len(payload))
	}
	return m.request(r, req, payload, nil)
}

// prepares is the effect of a correct Prepare on the model. It is false when
// the number is being given to another plan, which the model cannot follow.
func (m *machine) prepares(t *tenant, number uint32, k known, kind int, r *asked, sends bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	had := m.lab.sent[k.hash]
	old := t.plans[number]
	if old != nil && old.hash != k.hash {
		if !old.confirmed {
			return false
		}
		r.may = oneOf(transport.ErrProtocol) // the number is taken
		if !sends && !had {
			r.may |= oneOf(nil)
		}
		r.succeeded = func(control, _ []byte, _ bool) error {
			if p, err := preparedOf(control); err != nil || !p.GetNeedPlan() {
				return fmt.Errorf("a number was given twice: %w", err)
			}
			return nil
		}
		return true
	}
	if old == nil {
		old = &numbered{known: k, kind: kind}
		t.plans[number] = old
	}
	old.waiting++
	drop := func() {
		if old.waiting--; !old.confirmed && old.waiting == 0 {
			delete(t.plans, number)
		}
	}
	r.failed = func(uint32) error { drop(); return nil }
	r.succeeded = func(control, _ []byte, _ bool) error {
		p, err := preparedOf(control)
		if err != nil {
			return err
		}
		if p.GetNeedPlan() {
			if sends || had {
				return errors.New("the worker wants a plan that it has")
			}
			drop()
			return nil
		}
		if absent := kind == planAbsent; absent != (len(p.GetMissing()) > 0) {
			return fmt.Errorf("weights %v are missing", p.GetMissing())
		}
		old.confirmed, m.lab.sent[k.hash] = true, true
		drop()
		return nil
	}
	return true
}

func preparedOf(control []byte) (*wirepb.Prepared, error) {
	var p wirepb.Prepared
	err := proto.Unmarshal(control, &p)
	return &p, err
}

// plan picks a plan of a session and returns how certain its presence is.
func (m *machine) plan(t *tenant) (uint32, *numbered, outcomes) {
	number := uint32(1 + m.below(3))
	if t == nil {
		return number, nil, oneOf(transport.ErrClosed)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := t.plans[number]
	switch {
	case p == nil:
		return number, nil, oneOf(transport.ErrUnknownPlan)
	case !p.confirmed:
		return number, p, oneOf(transport.ErrUnknownPlan)
	}
	return number, p, 0
}

// upload sends the content of a weight, or of something else.
func (m *machine) upload() bool {
	num, t := m.session()
	number, p, may := m.plan(t)
	value := uint32(m.below(6))
	content := floats(100, 200)
	r := &asked{typ: wire.TypePutWeight, may: may}
	req := &wirepb.PutWeight{Session: num, Plan: number, Value: value}
	wrong := m.below(6)
	switch wrong {
	case 0:
		content = content[:5]
	case 1:
		content = append(content, 0)
	case 2:
		content[m.below(8)] ^= 0x40
	}
	req.Bytes = uint64(len(content))
	if p != nil {
		switch weight := p.kind == planCounter || p.kind == planAbsent; {
		case value != 1 || !weight:
			r.may |= oneOf(transport.ErrMissingWeight)
		case wrong <= 1:
			r.may |= oneOf(transport.ErrProtocol)
		case wrong == 2 || p.kind == planAbsent:
			r.may |= oneOf(transport.ErrCorrupt)
		default:
			r.may |= oneOf(nil)
		}
	}
	return m.request(r, req, content, m.inPieces(r, content))
}

// inPieces now and then makes a frame the first of several, whose others
// continue finishes, cancels or leaves.
func (m *machine) inPieces(r *asked, payload []byte) func(*rawFrame) {
	how := m.below(8)
	at := m.byte()
	return func(f *rawFrame) {
		switch {
		case how == 0 && len(payload) > 0 && r.number == 0:
			// A numbered one would be there after those that come meanwhile, and is
			// then older than they are.
			f.flags |= wire.FlagMore
			f.payload = payload[:at%len(payload)]
			m.rest[f.stream] = payload[at%len(payload):]
		case how == 1 && len(payload) > 0:
			f.spoil = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
			r.may = r.may&^1 | oneOf(transport.ErrCorrupt)
		}
	}
}

// streams lists the streams of requests that match, in order.
func (m *machine) streams(match func(*asked) bool) (list []uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for stream, r := range m.pending {
		if match(r) {
			list = append(list, stream)
		}
	}
	slices.Sort(list)
	return list
}
