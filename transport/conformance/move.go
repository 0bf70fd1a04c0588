package conformance

import (
	"context"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// mover is a session with both ends of direct transfers.
type mover interface {
	transport.Session
	transport.Receiver
	transport.Sender
}

// movers are sessions of two executors, the first of which can send to the second.
type movers struct {
	*fixture
	from, to transport.Executor
	a, b     mover
}

// movers opens them, or skips the test of executors that cannot.
func (f *fixture) movers() *movers {
	f.Helper()
	if f.opts.Movers == nil {
		f.Skip("no two of these executors reach each other")
	}
	m := &movers{fixture: f}
	m.from, m.to = f.opts.Movers(f.T)
	m.a, m.b = m.open(m.from), m.open(m.to)
	f.Cleanup(func() {
		for _, ex := range []transport.Executor{m.from, m.to} {
			f.checkLedger(ex)
			require.NoError(f, ex.Close())
		}
	})
	return m
}

func (m *movers) open(ex transport.Executor) mover {
	m.Helper()
	s, err := ex.NewSession(m.ctx)
	require.NoError(m, err)
	both, ok := s.(mover)
	require.True(m, ok, "its sessions neither send nor receive")
	return both
}

func (m *movers) sender() transport.PeerID {
	m.Helper()
	id, err := m.a.PeerID(m.ctx)
	require.NoError(m, err)
	require.False(m, id.IsZero())
	return id
}

// ticket is a ticket for the second session, that the first one may use.
func (m *movers) ticket(shape ...int) transport.Ticket {
	m.Helper()
	t, err := m.b.Ticket(m.ctx, transport.TicketSpec{DType: plan.F32, Shape: shape, Cause: plan.CauseActivation, Sender: m.sender()})
	require.NoError(m, err)
	return t
}

// keeper retains twice its input.
func keeper() *builder {
	b := newBuilder("keeper")
	n := plan.Sym("n")
	x := b.input("x", f32(n))
	b.output("twice", b.step("add", f32(n), nil, x, x), plan.Retain, plan.CauseActivation)
	b.output("square", b.step("mul", f32(n), nil, x, x), plan.Download, plan.CauseActivation)
	return b
}

// keep retains a value of n elements in a session.
func (m *movers) keep(s transport.Session, n int) transport.Handle {
	m.Helper()
	return m.run(s, m.prepare(s, keeper()), []int{n}, data(plan.CauseActivation, floats(ramp(n, 3)...))).Outputs[0].Handle
}

func (m *movers) twice(n int) []float32 {
	want := ramp(n, 3)
	for i := range want {
		want[i] *= 2
	}
	return want
}

// testMove sends values, of sizes around those of frames, and runs with them.
func testMove(f *fixture) {
	m := f.movers()
	ref := m.prepare(m.b, keeper())
	for _, n := range []int{0, 1, 3, 1 << 17, 1<<17 + 1, 3<<20 + 5} {
		h := m.keep(m.a, n)
		t := m.ticket(n)
		require.EqualValues(f, 4*n, t.Size)
		require.NoError(f, m.a.Send(f.ctx, h, t))
		got, err := m.b.Read(f.ctx, t.Handle)
		require.NoError(f, err)
		require.Equal(f, plan.F32, got.DType)
		require.Equal(f, []int{n}, got.Shape)
		want := m.twice(n)
		require.Equal(f, want, toFloats(got.Data))
		res := m.run(m.b, ref, []int{n}, transport.Input{Handle: t.Handle, Cause: plan.CauseActivation})
		square := toFloats(res.Outputs[1].Tensor.Data)
		require.Len(f, square, n)
		for i := range want {
			if square[i] != want[i]*want[i] {
				require.Failf(f, "wrong element", "%d of %d", i, n)
			}
		}
		got, err = m.a.Read(f.ctx, h)
		require.NoError(f, err, "the sender keeps it")
		require.Equal(f, want, toFloats(got.Data))
		require.NoError(f, m.a.Release(f.ctx, h))
		require.NoError(f, m.b.Release(f.ctx, t.Handle, res.Outputs[0].Handle))
	}
}

// testMoveWaits runs with values that have not arrived.
func testMoveWaits(f *fixture) {
	m := f.movers()
	ref := m.prepare(m.b, keeper())
	for range 3 { // the first ones are slow, later ones are expected to be brief
		h, t := m.keep(m.a, 5), m.ticket(5)
		var wg sync.WaitGroup
		var res transport.Result
		var ran error
		wg.Go(func() {
			res, ran = m.b.Run(f.ctx, transport.Call{Plan: ref, Bindings: []int{5}, Inputs: []transport.Input{{Handle: t.Handle}}})
		})
		require.NoError(f, m.a.Send(f.ctx, h, t))
		require.NoError(f, m.a.Release(f.ctx, h))
		wg.Wait()
		require.NoError(f, ran)
		for i, v := range toFloats(res.Outputs[1].Tensor.Data) {
			require.InDelta(f, m.twice(5)[i]*m.twice(5)[i], v, 0)
		}
	}

	// The wait ends with its context, and the session is of use after that.
	t := m.ticket(5)
	short, cancel := context.WithTimeout(f.ctx, 20*time.Millisecond)
	defer cancel()
	_, err := m.b.Run(short, transport.Call{Plan: ref, Bindings: []int{5}, Inputs: []transport.Input{{Handle: t.Handle}}})
	require.ErrorIs(f, err, context.DeadlineExceeded)
	h := m.keep(m.a, 5)
	require.NoError(f, m.a.Send(f.ctx, h, t), "the ticket is still valid")
	m.run(m.b, ref, []int{5}, transport.Input{Handle: t.Handle})

	// It ends with the ticket.
	id := m.sender()
	t, err = m.b.Ticket(f.ctx, transport.TicketSpec{DType: plan.F32, Shape: []int{5}, Sender: id, Lifetime: 30 * time.Millisecond})
	require.NoError(f, err)
	m.fails(transport.ErrTicket, m.b, ref, []int{5}, transport.Input{Handle: t.Handle})
	require.ErrorIs(f, m.a.Send(f.ctx, h, t), transport.ErrTicket)
	m.run(m.b, ref, []int{5}, data(plan.CauseActivation, floats(1, 2, 3, 4, 5)))
}

// testTickets uses tickets in the ways that they are not for.
func testTickets(f *fixture) {
	m := f.movers()
	h := m.keep(m.a, 4)
	used := m.ticket(4)
	require.NoError(f, m.a.Send(f.ctx, h, used))
	require.ErrorIs(f, m.a.Send(f.ctx, h, used), transport.ErrTicket, "a second time")
	again := used
	again.Begun = true
	require.NoError(f, m.a.Send(f.ctx, h, again), "an attempt that did not learn of the first one's success")

	t := m.ticket(4)
	for name, change := range map[string]func(*transport.Ticket){
		"another secret": func(t *transport.Ticket) { t.Secret[3] ^= 1 },
		"another number": func(t *transport.Ticket) { t.ID += 1000 },
		"a smaller value": func(t *transport.Ticket) {
			t.Spec.Shape = []int{3}
			t.Size = 12
		},
		"another shape": func(t *transport.Ticket) { t.Spec.Shape = []int{2, 2} },
		"another type":  func(t *transport.Ticket) { t.Spec.DType = plan.I32 },
	} {
		bad := t
		change(&bad)
		if bad.Target() != nil && (name == "a smaller value" || name == "another shape" || name == "another type") {
			continue // what a ticket is for is known at its target
		}
		require.ErrorIs(f, m.a.Send(f.ctx, h, bad), transport.ErrTicket, name)
	}
	small := m.keep(m.a, 3)
	lie := t
	lie.Spec.Shape, lie.Size = []int{3}, 12
	require.ErrorIs(f, m.a.Send(f.ctx, small, lie), transport.ErrTicket, "a size that the receiver did not agree to")
	require.NoError(f, m.a.Send(f.ctx, h, t), "none of that has used it up")

	foreign, err := m.b.Ticket(f.ctx, transport.TicketSpec{DType: plan.F32, Shape: []int{4}, Sender: transport.NewPeerKey().ID()})
	require.NoError(f, err)
	require.ErrorIs(f, m.a.Send(f.ctx, h, foreign), transport.ErrTicket, "for another sender")

	back := m.ticket(4)
	require.NoError(f, m.b.Release(f.ctx, back.Handle))
	require.Eventually(f, func() bool { return m.a.Send(f.ctx, h, back) != nil }, patience, time.Millisecond, "it was taken back")
	require.ErrorIs(f, m.a.Send(f.ctx, h, back), transport.ErrTicket)

	require.ErrorIs(f, m.a.Send(f.ctx, transport.Handle{Session: 1, ID: 99, Epoch: 3}, m.ticket(4)), transport.ErrStaleHandle)
	for name, spec := range map[string]transport.TicketSpec{
		"type":     {Shape: []int{1}},
		"rank":     {DType: plan.F32, Shape: make([]int, plan.MaxRank+1)},
		"size":     {DType: plan.F32, Shape: []int{1 << 40, 1 << 40}},
		"negative": {DType: plan.F32, Shape: []int{-1}},
		"axis":     {DType: plan.F32, Shape: []int{1}, State: "kv", Axis: 1},
		"mode":     {DType: plan.F32, Shape: []int{1}, State: "kv", Mode: 9},
	} {
		_, err := m.b.Ticket(f.ctx, spec)
		require.Error(f, err, name)
	}
	closed := m.ticket(4)
	require.NoError(f, m.b.Close())
	require.ErrorIs(f, m.a.Send(f.ctx, h, closed), transport.ErrTicket)
	_, err = m.b.Ticket(f.ctx, transport.TicketSpec{DType: plan.F32, Shape: []int{4}, Sender: m.sender()})
	require.ErrorIs(f, err, transport.ErrClosed)
	m.b = m.open(m.to)
	for range transport.MaxTickets {
		m.ticket(1)
	}
	_, err = m.b.Ticket(f.ctx, transport.TicketSpec{DType: plan.F32, Shape: []int{4}, Sender: m.sender()})
	require.ErrorIs(f, err, transport.ErrLimit)
}

// testMoveState continues a sequence in a session of another executor, whose cache
// is sent in parts between the runs that make it.
func testMoveState(f *fixture) {
	m := f.movers()
	b := growing()
	here, there := m.prepare(m.a, b), m.prepare(m.b, b)
	q := data(plan.CauseActivation, floats(1, 10))
	rows := func(past, n int) transport.Input {
		list := make([]float32, 0, 2*n)
		for i := range n {
			list = append(list, float32(past+i), float32(past+i+1))
		}
		return data(plan.CauseActivation, floats(list...))
	}
	id := m.sender()
	send := func(start, stop int) error {
		t, err := m.b.Ticket(f.ctx, transport.TicketSpec{
			DType: plan.F32, Shape: []int{stop - start, 2}, Cause: plan.CauseKV, Sender: id, State: "kv", Start: start,
		})
		require.NoError(f, err)
		err = m.a.SendState(f.ctx, "kv", 0, start, stop, t)
		if err != nil {
			require.NoError(f, m.b.Release(f.ctx, t.Handle))
		}
		return err
	}
	past := 0
	for _, n := range []int{7, 40, 1, 90} {
		m.run(m.a, here, bind(b, past, n), rows(past, n), q)
		require.NoError(f, send(past, past+n))
		past += n
	}
	want := m.run(m.a, here, bind(b, past, 1), rows(past, 1), q)
	got := m.run(m.b, there, bind(b, past, 1), rows(past, 1), q)
	require.Equal(f, want.Outputs[0].Tensor.Data, got.Outputs[0].Tensor.Data)
	require.NoError(f, send(10, 20), "rows that are there already")
	past++
	want = m.run(m.a, here, bind(b, past, 3), rows(past, 3), q)
	got = m.run(m.b, there, bind(b, past, 3), rows(past, 3), q)
	require.Equal(f, want.Outputs[0].Tensor.Data, got.Outputs[0].Tensor.Data)
	past += 3

	require.NoError(f, m.b.Reset(f.ctx))
	require.ErrorIs(f, send(5, 10), transport.ErrState, "a gap")
	require.ErrorIs(f, send(past, past+1), transport.ErrShape, "rows that the sender does not have")
	require.NoError(f, send(0, past))
	m.run(m.b, there, bind(b, past, 1), rows(past, 1), q)
	require.NoError(f, m.a.Reset(f.ctx))
	require.ErrorIs(f, send(0, 1), transport.ErrState, "a state that the sender does not have")
}

// testMoveManySessions sends in both directions between many sessions at once.
func testMoveManySessions(f *fixture) {
	m := f.movers()
	var wg sync.WaitGroup
	for i := range 8 {
		a, b := m.open(m.from), m.open(m.from)
		if i%2 == 0 {
			b = m.open(m.to)
		}
		pair := &movers{fixture: f, from: m.from, to: m.to, a: a, b: b}
		ref := m.prepare(b, keeper())
		wg.Go(func() {
			for n := range 20 {
				h := pair.keep(a, 100*n+i)
				t := pair.ticket(100*n + i)
				var sends sync.WaitGroup
				sends.Go(func() { require.NoError(f, a.Send(f.ctx, h, t)) })
				pair.run(b, ref, []int{100*n + i}, transport.Input{Handle: t.Handle})
				sends.Wait()
				require.NoError(f, a.Release(f.ctx, h))
				require.NoError(f, b.Release(f.ctx, t.Handle))
			}
		})
	}
	wg.Wait()
}

// testMoveCause counts what moves by its cause at both ends, and nowhere else.
func testMoveCause(f *fixture) {
	m := f.movers()
	const n = 50_000
	h := m.keep(m.a, n)
	before := [2]transport.Snapshot{m.from.Ledger().Snapshot(), m.to.Ledger().Snapshot()}
	var sent, received transport.ByCause
	if f.opts.Moved != nil {
		sent, received = f.opts.Moved(m.from, m.to)
	}
	require.NoError(f, m.a.Send(f.ctx, h, m.ticket(n)))
	for i, ex := range []transport.Executor{m.from, m.to} {
		moved := ex.Ledger().Snapshot().Sub(before[i])
		require.Less(f, moved.SocketSent+moved.SocketReceived, int64(4096), "the caller's connections carry no values")
	}
	if f.opts.Moved != nil {
		require.Eventually(f, func() bool {
			nowSent, nowReceived := f.opts.Moved(m.from, m.to)
			return nowSent[plan.CauseActivation]-sent[plan.CauseActivation] == 4*n &&
				nowReceived[plan.CauseActivation]-received[plan.CauseActivation] == 4*n
		}, patience, time.Millisecond)
	}
}
