package worker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

func pairOf(b []byte) (p [2]float32) {
	for i := range p {
		p[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return p
}

// handle picks a handle: of a retained value, of a released one, or one that
// was never issued. content is nil for the latter two.
func (m *machine) handle(t *tenant) (h transport.Handle, content []byte) {
	how, at := m.below(4), m.byte()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case t != nil && how <= 1 && len(t.order) > 0:
		h = t.order[at%len(t.order)]
		return h, t.kept[h]
	case t != nil && how == 2 && len(t.gone) > 0:
		return t.gone[at%len(t.gone)], nil
	}
	return transport.Handle{Session: uint64(at), ID: uint64(at % 5), Epoch: m.lab.engine.Epoch(), Generation: uint64(at % 3)}, nil
}

// run runs a plan, or asks for it wrongly.
func (m *machine) run() bool {
	num, t := m.session()
	number, p, may := m.plan(t)
	r := &asked{typ: wire.TypeRun, may: may, tenant: t}
	req := &wirepb.Run{Session: num, Plan: number}
	var payload []byte
	if p == nil {
		payload = make([]byte, m.below(9))
		return m.request(r, req, payload, nil)
	}
	switch p.kind {
	case planCounter, planAbsent:
		payload = m.runCounter(t, r, req, [2]float32{100, 200})
		if p.kind == planAbsent {
			r.may = r.may&^1 | oneOf(transport.ErrMissingWeight)
		}
	case planTokens:
		payload = m.runTokens(t, r)
	case planGrowing:
		payload = m.runGrowing(t, r, req)
	}
	switch m.below(20) {
	case 0:
		payload, r.may = slices.Concat(payload, []byte{1}), may|oneOf(transport.ErrProtocol)
	case 1:
		req.Bindings, r.may = append(req.Bindings, 1), may|oneOf(transport.ErrShape)
	case 2:
		req.Bindings, r.may = []uint64{1 << 60, 1 << 63}, may|oneOf(transport.ErrShape)
	case 3:
		req.Handles = append(req.Handles, &wirepb.InputHandle{Input: 5})
		r.may = may | oneOf(transport.ErrUnknownInput)
	case 4:
		req.Handles = append(req.Handles, &wirepb.InputHandle{})
		r.may = may | oneOf(transport.ErrProtocol)
	case 5:
		req.Bytes, r.may = 1<<50, may|oneOf(transport.ErrProtocol)
	default:
		req.Bytes = uint64(len(payload))
	}
	return m.request(r, req, payload, m.inPieces(r, payload))
}

// runCounter is a run of the counter: sum += x + w.
func (m *machine) runCounter(t *tenant, r *asked, req *wirepb.Run, w [2]float32) (payload []byte) {
	x := floats(float32(m.below(9)), float32(m.below(9)))
	payload = x
	r.may |= oneOf(nil)
	if m.below(3) == 0 {
		h, content := m.handle(t)
		if h.IsZero() {
			return payload
		}
		req.Handles, payload, x = append(req.Handles, &wirepb.InputHandle{Handle: wire.HandleMessage(h)}), nil, content
		// A message in pieces comes later than a release that was sent meanwhile.
		if r.may |= oneOf(transport.ErrStaleHandle); content == nil {
			r.may &^= 1
		}
	}
	r.succeeded = func(control, out []byte, _ bool) error {
		var ran wirepb.Ran
		if err := proto.Unmarshal(control, &ran); err != nil {
			return err
		}
		if len(out) != 8 || len(ran.GetRetained()) != 1 {
			return fmt.Errorf("%d bytes and %d handles", len(out), len(ran.GetRetained()))
		}
		in := pairOf(x)
		kept := [2]float32{in[0] + w[0], in[1] + w[1]}
		t.sum[0] += kept[0]
		t.sum[1] += kept[1]
		if got := pairOf(out); got != t.sum {
			return fmt.Errorf("the sum is %v, it must be %v", got, t.sum)
		}
		h := wire.HandleFrom(ran.GetRetained()[0])
		if _, twice := t.kept[h]; twice || h.IsZero() || slices.Contains(t.gone, h) {
			return fmt.Errorf("handle %v for the second time", h)
		}
		t.kept[h] = floats(kept[0], kept[1])
		t.order = append(t.order, h)
		return nil
	}
	return payload
}

// runTokens is one run of what loops repeat.
func (m *machine) runTokens(t *tenant, r *asked) []byte {
	x := int32(m.below(5))
	r.may |= oneOf(nil)
	r.succeeded = func(_, out []byte, _ bool) error { return t.said(x, out, len(out) == 4) }
	return int32s(x)
}

// said holds a token against acc += x.
func (t *tenant) said(x int32, out []byte, ok bool) error {
	if !ok {
		return fmt.Errorf("%d bytes of tokens", len(out))
	}
	got := int32(binary.LittleEndian.Uint32(out))
	t.acc += float32(x)
	if t.accLost {
		t.acc, t.accLost = float32(got), false
	}
	if float32(got) != t.acc {
		return fmt.Errorf("the token is %d, it must be %v", got, t.acc)
	}
	return nil
}

// runGrowing adds rows to the cache, at the right place or at another.
func (m *machine) runGrowing(t *tenant, r *asked, req *wirepb.Run) []byte {
	n := m.below(3)
	rows := make([]float32, 2*n)
	for i := range rows {
		rows[i] = float32(m.byte())
	}
	m.mu.Lock()
	past := len(t.rows) / 2
	m.mu.Unlock()
	if m.below(8) == 0 {
		past += 1 + m.below(3)
	}
	req.Bindings = []uint64{uint64(past), uint64(n)}
	r.may |= oneOf(nil, transport.ErrState)
	r.failed = func(code uint32) error {
		if code == transport.Code(transport.ErrState) && past == len(t.rows)/2 {
			return fmt.Errorf("%d rows are there and were refused", past)
		}
		return nil
	}
	r.succeeded = func(_, out []byte, _ bool) error {
		if past != len(t.rows)/2 {
			return fmt.Errorf("there are %d rows, the call said %d", len(t.rows)/2, past)
		}
		t.rows = append(t.rows, rows...)
		want := make([]float32, len(t.rows))
		for i, x := range t.rows {
			want[i] = 2 * x
		}
		if !bytes.Equal(out, floats(want...)) {
			return errors.New("the cache is not what was put there")
		}
		return nil
	}
	return floats(rows...)
}

// loop repeats a run on the worker.
func (m *machine) loop() bool {
	num, t := m.session()
	number, p, may := m.plan(t)
	r := &asked{typ: wire.TypeLoop, may: may, tenant: t}
	x, kind := int32(m.below(5)), transport.LoopKind(m.below(3))
	limit, credit, stop := 1+m.below(9), 1+m.below(9), int32(m.below(60))
	req := &wirepb.Loop{
		Run: &wirepb.Run{Session: num, Plan: number, Bytes: 4}, Inputs: []*wirepb.LoopInput{{Kind: uint32(kind), Max: int64(x) + 3}},
		Limits: []uint32{uint32(limit)}, Stop: []int32{stop}, Credit: uint32(credit),
	}
	payload := int32s(x)
	if p != nil && p.kind == planTokens {
		r.may |= oneOf(nil)
		m.follow(t, r, x, kind, limit, stop)
	} else if p != nil {
		r.may |= anything &^ 1
	}
	switch m.below(16) {
	case 0:
		req.Credit, r.may = 0, oneOf(transport.ErrProtocol)
	case 1:
		req.Run, r.may = nil, oneOf(transport.ErrProtocol)
	case 2:
		req.Limits, r.may = []uint32{uint32(m.below(2)) << 30}, may|anything&^1
	case 3:
		req.Inputs[0].Kind, r.may = uint32(3+m.byte()*3), may|anything&^1
	case 4:
		req.Grow, r.may = []uint64{1}, may|anything&^1
	case 5:
		req.Limits, r.may = []uint32{3, 4}, may|anything&^1 // tokens of two sequences
	case 6:
		payload, r.may = payload[:3], may|anything&^1
	}
	r.credit = int(req.GetCredit())
	failed := r.failed
	r.failed = func(code uint32) error {
		if t != nil {
			t.accLost = true
		}
		if failed != nil {
			return failed(code)
		}
		return nil
	}
	return m.request(r, req, payload, m.inPieces(r, payload))
}

// follow is what the frames of a loop must say.
func (m *machine) follow(t *tenant, r *asked, x int32, kind transport.LoopKind, limit int, stop int32) {
	runs := 0
	run := func(out []byte, last bool) error {
		if runs++; runs > r.credit {
			return fmt.Errorf("%d runs for a credit of %d", runs, r.credit)
		}
		if err := t.said(x, out[:4], true); err != nil {
			return err
		}
		token := int32(binary.LittleEndian.Uint32(out))
		if end := runs >= limit || token == stop; end != last {
			return fmt.Errorf("token %d after %d of %d runs, the last: %v", token, runs, limit, last)
		}
		switch kind {
		case transport.LoopToken:
			x = token
		case transport.LoopCount:
			x = min(x+1, r.most)
		case transport.LoopSame:
		}
		return nil
	}
	r.succeeded = func(control, out []byte, last bool) error {
		if len(out) == 0 || len(out)%8 != 0 || len(control) != 0 {
			return fmt.Errorf("runs of %d and %d bytes", len(control), len(out))
		}
		for ; len(out) > 0; out = out[8:] {
			if err := run(out[:8], last && len(out) == 8); err != nil {
				return err
			}
		}
		return nil
	}
	r.most = x + 3
}

// more gives a loop credit.
func (m *machine) more() bool {
	streams := m.streams(func(r *asked) bool { return r.typ == wire.TypeLoop })
	if len(streams) == 0 {
		return true
	}
	stream, n := streams[m.below(len(streams))], m.below(5)
	m.mu.Lock()
	if r := m.pending[stream]; r != nil {
		r.credit += n
	}
	m.mu.Unlock()
	return m.write(rawFrame{typ: wire.TypeCredit, stream: stream, control: marshal(&wirepb.Credit{Runs: uint32(n)})}.bytes(m.sent))
}

func (m *machine) read() bool {
	num, t := m.session()
	h, content := m.handle(t)
	r := &asked{typ: wire.TypeRead, tenant: t, may: oneOf(transport.ErrStaleHandle)}
	switch {
	case t == nil:
		r.may = oneOf(transport.ErrClosed)
	case content != nil:
		r.may = oneOf(nil)
	}
	r.succeeded = func(control, out []byte, _ bool) error {
		var v wirepb.Value
		if err := proto.Unmarshal(control, &v); err != nil {
			return err
		}
		if v.GetDtype() != uint32(plan.F32) || !slices.Equal(v.GetShape(), []uint64{2}) || !bytes.Equal(out, content) {
			return fmt.Errorf("%v with %x, it must be %x", &v, out, content)
		}
		return nil
	}
	return m.request(r, &wirepb.Read{Session: num, Handle: wire.HandleMessage(h)}, nil, nil)
}

// release gives values back; it has no answer.
func (m *machine) release() bool {
	num, t := m.session()
	req := &wirepb.Release{Session: num}
	for range m.below(4) {
		h, content := m.handle(t)
		req.Handles = append(req.Handles, wire.HandleMessage(h))
		if content == nil {
			continue
		}
		m.mu.Lock()
		delete(t.kept, h)
		t.order = slices.DeleteFunc(t.order, func(o transport.Handle) bool { return o == h })
		t.gone = append(t.gone, h)
		m.mu.Unlock()
	}
	m.last++
	return m.write(rawFrame{typ: wire.TypeRelease, stream: m.last, control: marshal(req)}.bytes(m.sent))
}

// cancelOne stops a request, or nothing.
func (m *machine) cancelOne() bool {
	streams := m.streams(func(*asked) bool { return true })
	for stream := range m.rest {
		streams = append(streams, stream)
	}
	slices.Sort(streams)
	stream := uint64(1<<40 + m.byte())
	if at := m.byte(); len(streams) > 0 && at < 200 {
		stream = streams[at%len(streams)]
	}
	return m.cancel(stream)
}

func (m *machine) cancel(stream uint64) bool {
	m.mu.Lock()
	if r := m.pending[stream]; r != nil {
		r.may |= oneOf(context.Canceled)
		r.partial = false
	}
	m.mu.Unlock()
	delete(m.rest, stream)
	return m.write(rawFrame{typ: wire.TypeCancel, stream: stream}.bytes(m.sent))
}
