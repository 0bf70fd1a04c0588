package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// bringer is a sender that speaks frame by frame.
type bringer struct {
	*peer
	key   transport.PeerKey
	nonce []byte
}

func newBringer(t *testing.T, w *workertest.Worker, key transport.PeerKey) *bringer {
	t.Helper()
	p := newPeer(t, w)
	p.send(&wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version}})
	h, control := p.next()
	require.Equal(t, wire.TypeHello, h.Type)
	var m wirepb.Hello
	require.NoError(t, proto.Unmarshal(control, &m))
	require.Len(t, m.GetNonce(), wire.NonceLen)
	require.True(t, wire.Features(m.GetFeatures()).Has(wire.FeatureReceive))
	return &bringer{p, key, m.GetNonce()}
}

// message presents a ticket.
func (b *bringer) message(t transport.Ticket) *wirepb.Deliver {
	id := b.key.ID()
	return &wirepb.Deliver{Ticket: t.ID, Sender: id[:], Signature: b.key.Present(b.nonce, t.ID, t.Secret), Bytes: uint64(t.Size)}
}

// ticketFor is a ticket of m that a key may use.
func (m *mover) ticketFor(key transport.PeerKey, n int) transport.Ticket {
	m.t.Helper()
	t, err := m.receiver().Ticket(m.t.Context(), transport.TicketSpec{DType: plan.F32, Shape: []int{n}, Cause: plan.CauseActivation, Sender: key.ID()})
	require.NoError(m.t, err)
	return t
}

// TestDeliverLies presents tickets that are another's, copied, of another size, and
// sends more and less than it says. Each is an error of its request, and the ticket
// can still be used.
func TestDeliverLies(t *testing.T) {
	w := workertest.Start(t, nil)
	watch := newBystander(t, w)
	m := newMover(t, w)
	key := transport.NewPeerKey()
	b := newBringer(t, w, key)
	ticket := m.ticketFor(key, 4)
	data := rising(4, 2)

	// What an eavesdropper saw on one connection is of no use on another.
	thief := newBringer(t, w, transport.NewPeerKey())
	copied := b.message(ticket)
	require.ErrorIs(t, thief.ask(wire.TypeDeliver, copied, data, nil), transport.ErrTicket)
	own := thief.message(ticket)
	require.ErrorIs(t, thief.ask(wire.TypeDeliver, own, data, nil), transport.ErrTicket)
	claimed := thief.message(ticket)
	claimed.Sender = copied.GetSender()
	require.ErrorIs(t, thief.ask(wire.TypeDeliver, claimed, data, nil), transport.ErrTicket)

	for name, tt := range map[string]struct {
		change  func(m *wirepb.Deliver)
		payload []byte
		want    error
	}{
		"no signature":      {func(m *wirepb.Deliver) { m.Signature = nil }, data, transport.ErrTicket},
		"a short key":       {func(m *wirepb.Deliver) { m.Sender = m.GetSender()[:31] }, data, transport.ErrTicket},
		"another number":    {func(m *wirepb.Deliver) { m.Ticket++ }, data, transport.ErrTicket},
		"fewer bytes":       {func(m *wirepb.Deliver) { m.Bytes = 12 }, data[:12], transport.ErrTicket},
		"more bytes":        {func(m *wirepb.Deliver) { m.Bytes = 20 }, append(data, 0, 0, 0, 0), transport.ErrTicket},
		"an offset":         {func(m *wirepb.Deliver) { m.Offset, m.Bytes = 4, 12 }, data[:12], transport.ErrTicket},
		"an offset behind":  {func(m *wirepb.Deliver) { m.Offset, m.Bytes = 16, 0 }, nil, transport.ErrTicket},
		"a huge size":       {func(m *wirepb.Deliver) { m.Bytes = 1 << 63 }, data, transport.ErrProtocol},
		"a huge offset":     {func(m *wirepb.Deliver) { m.Offset = 1<<64 - 8 }, data, transport.ErrProtocol},
		"another length":    {func(*wirepb.Deliver) {}, data[:8], transport.ErrProtocol},
		"asks with payload": {func(m *wirepb.Deliver) { m.Ask = true }, data, transport.ErrProtocol},
	} {
		bad := b.message(ticket)
		tt.change(bad)
		require.ErrorIs(t, b.ask(wire.TypeDeliver, bad, tt.payload, nil), tt.want, name)
	}

	// In several frames: too much and too little.
	b.last++
	b.send(&wire.Message{Type: wire.TypeDeliver, Stream: b.last, Control: b.message(ticket), Payload: []wire.Segment{{Data: data[:8]}}, Open: true})
	b.send(&wire.Message{Type: wire.TypeData, Stream: b.last, Payload: []wire.Segment{{Data: append(data, data...)}}})
	require.ErrorIs(t, b.answer(b.last, wire.TypeDeliver, nil), transport.ErrTicket)
	rest := b.message(ticket)
	rest.Ask = true
	var got wirepb.Delivered
	require.NoError(t, b.ask(wire.TypeDeliver, rest, nil, &got))
	require.EqualValues(t, 8, got.GetBytes())
	require.False(t, got.GetComplete())
	rest = b.message(ticket)
	rest.Offset, rest.Bytes = 8, 8
	b.last++
	b.send(&wire.Message{Type: wire.TypeDeliver, Stream: b.last, Control: rest, Payload: []wire.Segment{{Data: data[8:12]}}, Open: true})
	b.send(&wire.Message{Type: wire.TypeData, Stream: b.last})
	require.ErrorIs(t, b.answer(b.last, wire.TypeDeliver, nil), transport.ErrTicket)

	// Another connection of the same sender takes over, while this one is stalled.
	rest.Offset, rest.Bytes = 12, 4
	b.last++
	b.send(&wire.Message{Type: wire.TypeDeliver, Stream: b.last, Control: rest, Open: true})
	other := newBringer(t, w, key)
	again := other.message(ticket)
	again.Offset, again.Bytes = 12, 4
	require.Eventually(t, func() bool {
		return other.ask(wire.TypeDeliver, again, data[12:], &got) == nil
	}, 10*time.Second, time.Millisecond)
	require.True(t, got.GetComplete())
	b.send(&wire.Message{Type: wire.TypeData, Stream: b.last, Payload: []wire.Segment{{Data: []byte{9, 9, 9, 9}}}})
	require.ErrorIs(t, b.answer(b.last, wire.TypeDeliver, nil), transport.ErrTicket)
	m.holds(ticket.Handle, data)
	require.ErrorIs(t, b.ask(wire.TypeDeliver, b.message(ticket), data, nil), transport.ErrTicket, "a second time")
	watch.check()
}

// TestDeliverStalls brings a value too slowly: the transfer ends and its session is
// of use.
func TestDeliverStalls(t *testing.T) {
	w := workertest.Start(t, func(o *worker.Options) { o.Patience, o.Lease = 50*time.Millisecond, 50*time.Millisecond })
	m := newMover(t, w)
	key := transport.NewPeerKey()
	b := newBringer(t, w, key)
	const n = 1 << 20
	ticket, err := m.receiver().Ticket(t.Context(), transport.TicketSpec{DType: plan.F32, Shape: []int{n}, Sender: key.ID(), Lifetime: time.Second})
	require.NoError(t, err)
	b.last++
	stalled := b.last
	b.send(&wire.Message{Type: wire.TypeDeliver, Stream: stalled, Control: b.message(ticket), Payload: []wire.Segment{{Data: make([]byte, 8)}}, Open: true})
	done := make(chan struct{})
	go func() {
		for range 1000 { // anything else that arrives lets the worker look
			<-time.After(5 * time.Millisecond)
			if _, err := b.wc.Send(t.Context(), &wire.Message{Type: wire.TypePing}); err != nil {
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	err = b.answer(stalled, wire.TypeDeliver, nil)
	close(done)
	require.ErrorIs(t, err, transport.ErrLimit)
	_, err = m.run(t.Context(), n, transport.Input{Handle: ticket.Handle})
	require.ErrorIs(t, err, transport.ErrTicket, "nobody resumed it")
	m.value(4)
}

// TestBadTickets asks for tickets that no client of this module would ask for.
func TestBadTickets(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	p.session()
	key := transport.NewPeerKey().ID()
	good := func() *wirepb.Ticket {
		return &wirepb.Ticket{Session: 1, Dtype: uint32(plan.F32), Shape: []uint64{2}, Sender: key[:]}
	}
	for name, tt := range map[string]struct {
		change func(m *wirepb.Ticket)
		want   error
	}{
		"session":   {func(m *wirepb.Ticket) { m.Session = 9 }, transport.ErrClosed},
		"type":      {func(m *wirepb.Ticket) { m.Dtype = 1<<32 - 1 }, transport.ErrDType},
		"rank":      {func(m *wirepb.Ticket) { m.Shape = make([]uint64, 99) }, transport.ErrShape},
		"dimension": {func(m *wirepb.Ticket) { m.Shape = []uint64{1 << 63} }, transport.ErrShape},
		"size":      {func(m *wirepb.Ticket) { m.Shape = []uint64{1 << 40, 1 << 40, 1 << 40} }, transport.ErrLimit},
		"cause":     {func(m *wirepb.Ticket) { m.Cause = 200 }, transport.ErrProtocol},
		"sender":    {func(m *wirepb.Ticket) { m.Sender = nil }, transport.ErrProtocol},
		"mode":      {func(m *wirepb.Ticket) { m.State, m.Mode = "s", 77 }, transport.ErrState},
		"axis":      {func(m *wirepb.Ticket) { m.State, m.Axis = "s", -7 }, transport.ErrShape},
		"start":     {func(m *wirepb.Ticket) { m.State, m.Start = "s", 1<<64-1 }, transport.ErrShape},
		"name":      {func(m *wirepb.Ticket) { m.State = string(make([]byte, 2000)) }, transport.ErrLimit},
	} {
		m := good()
		tt.change(m)
		require.ErrorIs(t, p.ask(wire.TypeTicket, m, nil, nil), tt.want, name)
	}
	var m wirepb.Issued
	require.NoError(t, p.ask(wire.TypeTicket, good(), nil, &m))
	require.Len(t, m.GetSecret(), 32)
	require.ErrorIs(t, p.ask(wire.TypeSend, &wirepb.Send{Session: 1, Handle: m.GetHandle()}, nil, nil), transport.ErrNoPeer, "it sends to nobody")

	sender := workertest.Start(t, workertest.WithPeers(t, nil))
	q := greeted(t, sender)
	q.session()
	require.ErrorIs(t, q.ask(wire.TypeSend, &wirepb.Send{Session: 1}, nil, nil), transport.ErrProtocol, "without a secret")
	send := &wirepb.Send{Session: 1, Secret: make([]byte, 32), Address: "tcp://" + w.TCP, Dtype: uint32(plan.F32), Shape: []uint64{2}, State: "none"}
	require.ErrorIs(t, q.ask(wire.TypeSend, send, nil, nil), transport.ErrState)
	send.Address = string(make([]byte, 600))
	require.ErrorIs(t, q.ask(wire.TypeSend, send, nil, nil), transport.ErrProtocol)
}
