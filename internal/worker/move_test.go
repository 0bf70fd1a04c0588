package worker_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/fault"
	"github.com/genie-sdk/go/internal/peers"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
)

// doubler retains twice its input, of any length.
func doubler() *plan.Plan {
	n := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.Sym("n")}}
	return &plan.Plan{
		Version: plan.Version, Name: "doubler", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: n, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "twice", Spec: n, Buffer: 0},
		},
		Steps:   []plan.Step{{Op: "add", In: []int{0, 0}, Out: 1}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "twice", Value: 1, Place: plan.Retain, Cause: plan.CauseActivation}},
	}
}

// mover is one end of a transfer.
type mover struct {
	t   testing.TB
	s   transport.Session
	ref transport.PlanRef
}

func newMover(t testing.TB, w *workertest.Worker) *mover {
	t.Helper()
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ex.Close() })
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	ref, err := s.Prepare(t.Context(), doubler(), nil, nil)
	require.NoError(t, err)
	return &mover{t, s, ref}
}

func (m *mover) sender() transport.Sender     { return m.s.(transport.Sender) }
func (m *mover) receiver() transport.Receiver { return m.s.(transport.Receiver) }

func (m *mover) run(ctx context.Context, n int, in transport.Input) (transport.Handle, error) {
	res, err := m.s.Run(ctx, transport.Call{Plan: m.ref, Bindings: []int{n}, Inputs: []transport.Input{in}})
	if err != nil {
		return transport.Handle{}, err
	}
	return res.Outputs[0].Handle, nil
}

// value retains n elements, twice 0, 1, 2 and so on, modulo 1024.
func (m *mover) value(n int) transport.Handle {
	m.t.Helper()
	h, err := m.run(m.t.Context(), n, transport.Input{Data: rising(n, 1)})
	require.NoError(m.t, err)
	return h
}

func rising(n int, times float32) []byte {
	list := make([]float32, n)
	for i := range list {
		list[i] = float32(i%1024) * times
	}
	return floats(list...)
}

// ticket is a ticket of m for n elements, which from may use at an address.
func (m *mover) ticket(from *mover, n int, address string) transport.Ticket {
	m.t.Helper()
	id, err := from.sender().PeerID(m.t.Context())
	require.NoError(m.t, err)
	t, err := m.receiver().Ticket(m.t.Context(), transport.TicketSpec{DType: plan.F32, Shape: []int{n}, Cause: plan.CauseActivation, Sender: id})
	require.NoError(m.t, err)
	if address != "" {
		t.Address = "tcp://" + address
	}
	return t
}

func (m *mover) holds(h transport.Handle, want []byte) {
	m.t.Helper()
	got, err := m.s.Read(m.t.Context(), h)
	require.NoError(m.t, err)
	require.Equal(m.t, want, got.Data)
}

func sending(t testing.TB) *workertest.Worker {
	return workertest.Start(t, workertest.WithPeers(t, nil))
}

// TestHandOverCut cuts, damages, loses and truncates the link between two workers in
// the middle of a hand-over. It is resumed, not begun again, and nothing is lost.
func TestHandOverCut(t *testing.T) {
	const n = 2 << 20 // 16 frames
	for name, action := range map[string]fault.Action{"cut": fault.Cut, "truncated": fault.Truncate, "damaged": fault.Flip, "lost": fault.Lose, "swapped": fault.Swap} {
		t.Run(name, func(t *testing.T) {
			from, to := sending(t), workertest.Start(t, nil)
			p, err := fault.Start(to.TCP, fault.Options{Frames: true, Decide: fault.At(0, 9, true, action)})
			require.NoError(t, err)
			defer func() { require.NoError(t, p.Close()) }()
			a, b := newMover(t, from), newMover(t, to)
			h, ticket := a.value(n), b.ticket(a, n, p.Addr())
			before := to.Server.Meter().Ledger.Snapshot().Received[plan.CauseActivation]
			require.NoError(t, a.sender().Send(t.Context(), h, ticket))
			require.Equal(t, 1, p.Faults())
			b.holds(ticket.Handle, rising(n, 2))
			came := to.Server.Meter().Ledger.Snapshot().Received[plan.CauseActivation] - before
			require.Less(t, came, int64(4*n+3*wire.ChunkSize), "what had come was not sent again")
		})
	}
}

// TestHandOverOften does the same with faults of every kind at random, by seed.
func TestHandOverOften(t *testing.T) {
	from, to := sending(t), workertest.Start(t, nil)
	a, b := newMover(t, from), newMover(t, to)
	faults := 0
	for seed := range uint64(24) {
		action := []fault.Action{fault.Cut, fault.Truncate, fault.Flip, fault.Lose, fault.Swap}[seed%5]
		p, err := fault.Start(to.TCP, fault.Options{Frames: true, Decide: fault.Sometimes(seed, 0.04, action)})
		require.NoError(t, err)
		n := 1<<19 + int(seed)
		h, ticket := a.value(n), b.ticket(a, n, p.Addr())
		require.NoError(t, a.sender().Send(t.Context(), h, ticket), "seed %d", seed)
		b.holds(ticket.Handle, rising(n, 2))
		require.NoError(t, a.s.Release(t.Context(), h))
		require.NoError(t, b.s.Release(t.Context(), ticket.Handle))
		faults += p.Faults()
		require.NoError(t, p.Close())
	}
	require.Positive(t, faults)
}

// TestReceivingWorkerDies ends the receiving worker in the middle of a hand-over. The
// sender learns of it in time and is of use after that.
func TestReceivingWorkerDies(t *testing.T) {
	const n = 2 << 20
	from, to := sending(t), workertest.Start(t, nil)
	var once sync.Once
	p, err := fault.Start(to.TCP, fault.Options{Frames: true, Decide: func(p fault.Piece) fault.Verdict {
		if p.ToWorker && p.Type == wire.TypeData && p.Number > 4 {
			once.Do(func() { go func() { _ = to.Close() }() })
		}
		return fault.Verdict{}
	}})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	a, b := newMover(t, from), newMover(t, to)
	h, ticket := a.value(n), b.ticket(a, n, p.Addr())
	err = a.sender().Send(t.Context(), h, ticket)
	if err != nil { // it may have been faster
		require.ErrorIs(t, err, transport.ErrNotDelivered)
	}
	err = a.sender().Send(t.Context(), h, ticket)
	require.ErrorIs(t, err, transport.ErrNoPeer, "nothing answers any more")
	a.holds(h, rising(n, 2))
}

// TestSendingWorkerDies ends the sending worker in the middle of a hand-over: what waits for
// the value ends with its context, and the value can still be sent by the caller.
func TestSendingWorkerDies(t *testing.T) {
	const n = 2 << 20
	from, to := sending(t), workertest.Start(t, func(o *worker.Options) { o.Lease = 50 * time.Millisecond })
	var once sync.Once
	p, err := fault.Start(to.TCP, fault.Options{Frames: true, Decide: func(p fault.Piece) fault.Verdict {
		if p.ToWorker && p.Type == wire.TypeData && p.Number > 4 {
			once.Do(func() { go func() { _ = from.Close() }() })
			return fault.Verdict{Delay: 20 * time.Millisecond}
		}
		return fault.Verdict{}
	}})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	a, b := newMover(t, from), newMover(t, to)
	h, ticket := a.value(n), b.ticket(a, n, p.Addr())
	require.Error(t, a.sender().Send(t.Context(), h, ticket))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = b.run(ctx, n, transport.Input{Handle: ticket.Handle})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, b.s.Release(t.Context(), ticket.Handle))
	other, err := b.run(t.Context(), n, transport.Input{Data: rising(n, 2)})
	require.NoError(t, err)
	b.holds(other, rising(n, 4))
	require.NoError(t, b.s.Release(t.Context(), other))
	require.Eventually(t, func() bool { return to.Engine.Stats().RetainedBytes == 0 }, 10*time.Second, time.Millisecond)
}

// TestSendersAddresses has a worker dial nothing but what its operator has listed.
func TestSendersAddresses(t *testing.T) {
	secret, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dialled := make(chan struct{}, 1)
	go func() {
		for {
			c, err := secret.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
			dialled <- struct{}{}
		}
	}()
	defer func() { _ = secret.Close() }()
	to := workertest.Start(t, nil)
	allow, err := peers.ParseList([]string{to.TCP, "10.0.0.0/8:7070"})
	require.NoError(t, err)
	p := peers.New(peers.Options{Allow: allow})
	defer func() { require.NoError(t, p.Close()) }()
	from := workertest.Start(t, func(o *worker.Options) { o.Peers = p })
	a, b := newMover(t, from), newMover(t, to)
	h, ticket := a.value(4), b.ticket(a, 4, "")
	_, port, err := net.SplitHostPort(secret.Addr().String())
	require.NoError(t, err)
	for _, address := range []string{
		"tcp://" + secret.Addr().String(), "grpc://" + secret.Addr().String(), "tcp://localhost:" + port, "tcp://[::ffff:127.0.0.1]:" + port,
		"http://169.254.169.254/latest/meta-data", "tcp://169.254.169.254:80", "tcp://10.0.0.1:22", "tcp://user@" + to.TCP, "tcp://" + to.TCP + "/x",
		"unix:///run/docker.sock", "tcp://10.0.0.1.nip.io:7070", "", "tcp://", "://", "tcp://127.0.0.1", "tcp://0x7f000001:" + port,
	} {
		bad := ticket
		bad.Address = address
		require.ErrorIs(t, a.sender().Send(t.Context(), h, bad), transport.ErrNoPeer, "%q", address)
	}
	require.NoError(t, a.sender().Send(t.Context(), h, ticket), "the ticket is as it was")
	select {
	case <-dialled:
		require.Fail(t, "the worker dialled what it must not")
	default:
	}

	// Without a list there is nothing to ask for.
	c := newMover(t, to)
	_, err = c.sender().PeerID(t.Context())
	require.ErrorIs(t, err, transport.ErrNoPeer)
	require.ErrorIs(t, c.sender().Send(t.Context(), c.value(4), ticket), transport.ErrNoPeer)
}

// TestTicketsMemory charges what is to arrive before it does, and gives it back.
func TestTicketsMemory(t *testing.T) {
	from := sending(t)
	to := workertest.Start(t, func(o *worker.Options) {
		o.Quota = func(string) worker.Quota { return worker.Quota{Bytes: 4 << 20} }
	})
	a, b := newMover(t, from), newMover(t, to)
	id, err := a.sender().PeerID(t.Context())
	require.NoError(t, err)
	retained := func() int64 { return to.Engine.Memory().Held()[budget.Retained] }
	before := retained()
	spec := transport.TicketSpec{DType: plan.F32, Shape: []int{2 << 18}, Sender: id}
	ticket, err := b.receiver().Ticket(t.Context(), spec)
	require.NoError(t, err)
	require.GreaterOrEqual(t, retained()-before, int64(2<<20))
	_, err = b.receiver().Ticket(t.Context(), transport.TicketSpec{DType: plan.F32, Shape: []int{2 << 20}, Sender: id})
	require.ErrorIs(t, err, transport.ErrQuota)
	require.NoError(t, b.s.Release(t.Context(), ticket.Handle))
	require.Eventually(t, func() bool { return retained() == before }, 10*time.Second, time.Millisecond)
	spec.Lifetime = time.Millisecond
	_, err = b.receiver().Ticket(t.Context(), spec)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return retained() == before }, 10*time.Second, time.Millisecond, "it expires")
}
