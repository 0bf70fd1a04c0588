package worker_test

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// machineKey is in whose name machines deliver.
var machineKey = transport.NewPeerKey()

// pass is a ticket that the machine has, or had.
type pass struct {
	t      *tenant
	h      transport.Handle
	id     uint64
	secret [32]byte
	asked  bool // a delivery that may use it is under way, or was
}

// ticket asks for a ticket, or for one that there cannot be.
func (m *machine) ticket() bool {
	num, t := m.session()
	id := machineKey.ID()
	req := &wirepb.Ticket{Session: num, Dtype: uint32(plan.F32), Shape: []uint64{2}, Cause: uint32(plan.CauseActivation), Sender: id[:]}
	r := &asked{typ: wire.TypeTicket, tenant: t, may: oneOf(nil)}
	switch m.below(8) {
	case 0:
		req.Dtype, r.may = uint32(m.byte())+7, oneOf(transport.ErrDType)
	case 1:
		req.Sender, r.may = id[:m.below(32)], oneOf(transport.ErrProtocol)
	case 2:
		req.Shape, r.may = []uint64{1 << 40, 1 << 40}, oneOf(transport.ErrLimit)
	}
	if t == nil {
		r.may = r.may&^1 | oneOf(transport.ErrClosed)
	}
	r.succeeded = func(control, _ []byte, _ bool) error {
		var a wirepb.Issued
		if err := proto.Unmarshal(control, &a); err != nil {
			return err
		}
		if len(a.GetSecret()) != 32 || a.GetHandle() == nil || a.GetLifetimeMs() == 0 {
			return fmt.Errorf("the ticket %v", &a)
		}
		m.passes = append(m.passes, &pass{t: t, h: wire.HandleFrom(a.GetHandle()), id: a.GetTicket(), secret: [32]byte(a.GetSecret())})
		return nil
	}
	return m.request(r, req, nil, nil)
}

// deliver uses a ticket, rightly the first time and wrongly after that, or one that
// there is not.
func (m *machine) deliver() bool {
	how, at := m.below(10), m.byte()
	m.mu.Lock()
	k := &pass{id: 1 << 50}
	if len(m.passes) > 0 {
		k = m.passes[at%len(m.passes)]
	}
	fresh := k.t != nil && !k.asked && m.open[k.t.num] == k.t
	nonce := m.link.nonce
	m.mu.Unlock()
	content := floats(float32(at), float32(how))
	id := machineKey.ID()
	req := &wirepb.Deliver{Ticket: k.id, Sender: id[:], Signature: machineKey.Present(nonce, k.id, k.secret), Bytes: 8}
	r := &asked{typ: wire.TypeDeliver, may: oneOf(transport.ErrTicket)}
	switch how {
	case 0:
		req.Signature[at%64] ^= 1
	case 1:
		req.Offset, req.Bytes, content = 8, 0, nil
	case 2:
		req.Bytes, content = 12, append(content, 1, 2, 3, 4)
	case 3:
		req.Bytes, r.may = uint64(at)+9, oneOf(transport.ErrProtocol, transport.ErrTicket)
	case 4:
		req.Ask, content, r.may = true, nil, oneOf(nil, transport.ErrTicket)
		r.succeeded = func(control, _ []byte, _ bool) error { return checkDelivered(control, false) }
	default:
		if !fresh {
			break
		}
		r.may = oneOf(nil, transport.ErrTicket) // its session may be closed meanwhile
		m.mu.Lock()
		k.asked = true
		m.mu.Unlock()
		r.succeeded = func(control, _ []byte, _ bool) error {
			k.t.kept[k.h] = content
			k.t.order = append(k.t.order, k.h)
			return checkDelivered(control, true)
		}
		r.failed = func(uint32) error {
			if m.open[k.t.num] == k.t && !k.t.closing {
				return errors.New("a ticket of an open session was refused")
			}
			return nil
		}
	}
	return m.request(r, req, content, nil)
}

func checkDelivered(control []byte, complete bool) error {
	var a wirepb.Delivered
	if err := proto.Unmarshal(control, &a); err != nil {
		return err
	}
	if a.GetBytes() != 0 && a.GetBytes() != 8 || a.GetComplete() != (a.GetBytes() == 8) || complete && !a.GetComplete() {
		return fmt.Errorf("delivered %v", &a)
	}
	return nil
}

// takeBack releases a ticket's handle, which nothing was delivered to.
func (m *machine) takeBack() bool {
	at := m.byte()
	m.mu.Lock()
	var k *pass
	if n := len(m.passes); n > 0 && !m.passes[at%n].asked && m.open[m.passes[at%n].t.num] == m.passes[at%n].t {
		k = m.passes[at%n]
		k.asked = true
		m.passes = slices.Delete(m.passes, at%n, at%n+1)
	}
	m.mu.Unlock()
	if k == nil {
		return true
	}
	m.last++
	req := &wirepb.Release{Session: k.t.num, Handles: []*wirepb.Handle{wire.HandleMessage(k.h)}}
	return m.write(rawFrame{typ: wire.TypeRelease, stream: m.last, control: marshal(req)}.bytes(m.sent))
}

// send asks for a transfer, of which this worker makes none.
func (m *machine) send() bool {
	num, t := m.session()
	r := &asked{typ: wire.TypeSend, tenant: t, may: oneOf(transport.ErrNoPeer)}
	if t == nil {
		r.may = oneOf(transport.ErrClosed)
	}
	h, _ := m.handle(t)
	return m.request(r, &wirepb.Send{Session: num, Handle: wire.HandleMessage(h), Secret: make([]byte, m.below(40)), Address: "tcp://127.0.0.1:1"}, nil, nil)
}
