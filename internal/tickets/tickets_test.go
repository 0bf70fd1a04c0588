package tickets

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a sink of this process.
type memory struct {
	h       transport.Handle
	data    []byte
	arrive  func(ctx context.Context) error
	arrived bool
}

func (m *memory) Handle() transport.Handle { return m.h }
func (m *memory) Size() int64              { return int64(len(m.data)) }

func (m *memory) Write(b []byte, off int64) error {
	copy(m.data[off:], b)
	return nil
}

func (m *memory) Arrived(ctx context.Context) error {
	if m.arrive != nil {
		if err := m.arrive(ctx); err != nil {
			return err
		}
	}
	m.arrived = true
	return nil
}

var handles atomic.Uint64

type issued struct {
	transport.Ticket
	m *memory

	mu   sync.Mutex
	ends []bool
}

func (i *issued) ended() []bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.ends)
}

func issue(t *testing.T, o *Owner, size int, life time.Duration) *issued {
	t.Helper()
	i := &issued{m: &memory{h: transport.Handle{ID: handles.Add(1)}, data: make([]byte, size)}}
	spec := transport.TicketSpec{DType: plan.Bool, Shape: []int{size}, Sender: transport.PeerID{1}, Lifetime: life}
	var err error
	i.Ticket, err = o.Issue(spec, i.m, func(arrived bool) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.ends = append(i.ends, arrived)
	})
	require.NoError(t, err)
	return i
}

func yes(transport.PeerID, [32]byte) bool { return true }

// TestUsedOnce uses a ticket, and tells its sender, and nobody else, that it did.
func TestUsedOnce(t *testing.T) {
	table := New(time.Second)
	o := table.NewOwner()
	i := issue(t, o, 5, 0)
	require.Equal(t, 1, table.Open())
	_, err := table.Present(i.ID, func(from transport.PeerID, secret [32]byte) bool {
		require.Equal(t, transport.PeerID{1}, from)
		require.Equal(t, i.Secret, secret)
		return false
	})
	require.ErrorIs(t, err, transport.ErrTicket)
	u, err := table.Present(i.ID, yes)
	require.NoError(t, err)
	for _, bad := range [][2]int64{{0, 4}, {0, 6}, {1, 4}, {-1, 6}, {5, 0}} {
		require.ErrorIs(t, u.Check(bad[0], bad[1]), transport.ErrTicket, "%v", bad)
	}
	require.NoError(t, u.Check(0, 5))
	require.NoError(t, u.Write([]byte("abc")))
	require.ErrorIs(t, u.Write([]byte("def")), transport.ErrTicket, "too long")
	require.ErrorIs(t, u.Finish(t.Context()), transport.ErrTicket, "too early")
	require.NoError(t, u.Write([]byte("de")))
	require.NoError(t, u.Finish(t.Context()))
	u.Leave()
	require.Equal(t, []bool{true}, i.ended())
	require.Equal(t, "abcde", string(i.m.data))

	again, err := table.Present(i.ID, yes)
	require.NoError(t, err)
	n, complete := again.Got()
	require.EqualValues(t, 5, n)
	require.True(t, complete)
	require.ErrorIs(t, again.Check(0, 5), transport.ErrTicket)
	require.ErrorIs(t, again.Check(5, 0), transport.ErrTicket)
	require.ErrorIs(t, again.Write([]byte("x")), transport.ErrTicket)
	require.ErrorIs(t, again.Finish(t.Context()), transport.ErrTicket)
	again.Leave()
	for range usedTickets { // an owner remembers so many
		j := issue(t, o, 0, 0)
		u, err := table.Present(j.ID, yes)
		require.NoError(t, err)
		require.NoError(t, u.Finish(t.Context()))
	}
	_, err = table.Present(i.ID, yes)
	require.ErrorIs(t, err, transport.ErrTicket)
	require.Zero(t, table.Open())
	o.Close()
	require.Empty(t, table.by)
	_, err = o.Issue(transport.TicketSpec{}, &memory{}, func(bool) {})
	require.ErrorIs(t, err, transport.ErrClosed)
}

// TestPresentedAgain resumes a transfer on another connection while the first one is
// not known to be lost: the first one writes no more.
func TestPresentedAgain(t *testing.T) {
	table := New(time.Second)
	o := table.NewOwner()
	i := issue(t, o, 4, 0)
	first, err := table.Present(i.ID, yes)
	require.NoError(t, err)
	require.NoError(t, first.Write([]byte("ab")))
	second, err := table.Present(i.ID, yes)
	require.NoError(t, err)
	n, _ := second.Got()
	require.EqualValues(t, 2, n)
	require.ErrorIs(t, first.Write([]byte("XY")), transport.ErrTicket)
	require.ErrorIs(t, first.Finish(t.Context()), transport.ErrTicket)
	first.Leave()
	require.NoError(t, second.Check(2, 2))
	require.NoError(t, second.Write([]byte("cd")))
	require.NoError(t, second.Finish(t.Context()))
	require.Equal(t, "abcd", string(i.m.data))
	o.Close()
}

// TestExpires ends tickets in time: unused ones when their time is over, one in use
// when nobody has resumed it for a while.
func TestExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(5 * time.Second)
		o := table.NewOwner()
		unused, busy, cut := issue(t, o, 1, time.Second), issue(t, o, 1, time.Second), issue(t, o, 1, time.Minute)
		most := issue(t, o, 1, 24*time.Hour)
		u, err := table.Present(busy.ID, yes)
		require.NoError(t, err)
		c, err := table.Present(cut.ID, yes)
		require.NoError(t, err)
		c.Leave()
		<-time.After(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []bool{false}, unused.ended())
		require.Empty(t, busy.ended(), "it is in use")
		u.Leave()
		<-time.After(4 * time.Second)
		synctest.Wait()
		require.Empty(t, busy.ended(), "it may be resumed")
		<-time.After(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []bool{false}, busy.ended())
		require.Empty(t, cut.ended(), "its time is not over")
		<-time.After(transport.TicketLifetime)
		synctest.Wait()
		require.Equal(t, []bool{false}, cut.ended())
		require.Equal(t, []bool{false}, most.ended(), "no ticket is valid for longer")
		require.Empty(t, table.by)
		o.Close()
	})
}

// TestFails ends a ticket whose content cannot be put in its place, retains one whose
// sender gave up while it waited, and survives a panic.
func TestFails(t *testing.T) {
	table := New(time.Second)
	o := table.NewOwner()
	i := issue(t, o, 0, 0)
	broken := errors.New("broken")
	i.m.arrive = func(context.Context) error { return broken }
	u, err := table.Present(i.ID, yes)
	require.NoError(t, err)
	require.ErrorIs(t, u.Finish(t.Context()), broken)
	require.Equal(t, []bool{false}, i.ended())

	i = issue(t, o, 0, 0)
	i.m.arrive = context.Cause
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	u, err = table.Present(i.ID, yes)
	require.NoError(t, err)
	require.ErrorIs(t, u.Finish(ctx), broken)
	u.Leave()
	require.Empty(t, i.ended())
	u, err = table.Present(i.ID, yes)
	require.NoError(t, err)
	require.NoError(t, u.Finish(t.Context()))
	require.Equal(t, []bool{true}, i.ended())

	i = issue(t, o, 0, 0)
	i.m.arrive = func(context.Context) error { panic("planted") }
	u, err = table.Present(i.ID, yes)
	require.NoError(t, err)
	require.Panics(t, func() { _ = u.Finish(t.Context()) })
	require.Equal(t, []bool{false}, i.ended())
	require.Zero(t, table.Open())
	o.Close()
}

// TestTakenBack ends tickets by their handles and with their owner, once each, while
// they are in use from many places.
func TestTakenBack(t *testing.T) {
	table := New(time.Second)
	for range 200 {
		o := table.NewOwner()
		i := issue(t, o, 64, 0)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				u, err := table.Present(i.ID, yes)
				if err != nil {
					require.ErrorIs(t, err, transport.ErrTicket)
					return
				}
				defer u.Leave()
				for range 8 {
					if u.Write(bytes.Repeat([]byte{7}, 8)) != nil {
						return
					}
				}
				_ = u.Finish(t.Context())
			})
		}
		wg.Go(func() { o.TakeBack(i.Handle) })
		wg.Go(o.Close)
		wg.Wait()
		require.Len(t, i.ended(), 1)
		require.Equal(t, i.m.arrived, i.ended()[0])
		require.Zero(t, table.Open())
	}
}

func TestFull(t *testing.T) {
	table := New(time.Second)
	o := table.NewOwner()
	for range transport.MaxTickets {
		issue(t, o, 0, 0)
	}
	require.ErrorIs(t, o.Full(), transport.ErrLimit)
	_, err := o.Issue(transport.TicketSpec{}, &memory{}, func(bool) {})
	require.ErrorIs(t, err, transport.ErrLimit)
	require.NoError(t, table.NewOwner().Full(), "another owner")
	o.Close()
}
