package connlimit

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a table under test, and what it did.
type room struct {
	*Table
	t         *testing.T
	ended     chan struct{}
	strangers atomic.Int64
	evicted   atomic.Int64
	crowded   atomic.Int64 // reports
	mu        sync.Mutex
	left      []string // those that were ended, in their order
}

func newRoom(t *testing.T, maximum int, named bool) *room {
	t.Helper()
	r := &room{t: t, ended: make(chan struct{})}
	r.Table = New(Options{
		Max: maximum, Named: named, Time: time.Minute, Ended: r.ended,
		Counted: func(s, e int) { r.strangers.Add(int64(s)); r.evicted.Add(int64(e)) },
		Crowded: func(int) { r.crowded.Add(1) },
	})
	return r
}

// enter admits a stranger with the given name.
func (r *room) enter(from, name string) *Guest {
	r.t.Helper()
	g, err := r.Enter(from, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.left = append(r.left, name)
	}, false)
	require.NoError(r.t, err)
	return g
}

func (r *room) gone() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.left...)
}

func admitted(t *testing.T, g *Guest, who string) {
	t.Helper()
	require.NoError(t, g.Greet())
	require.NoError(t, g.Admit(who, 0))
}

func TestParts(t *testing.T) {
	for _, tt := range []struct{ max, share, each int }{
		{1, 1, 1}, {2, 2, 2}, {8, 8, 8}, {16, 16, 12}, {100, 16, 12}, {1024, 128, 96}, {4096, 512, 384},
	} {
		x := New(Options{Max: tt.max})
		require.Equal(t, []int{tt.share, tt.each}, []int{x.share, x.each}, "of %d connections", tt.max)
	}
}

// TestOldestStrangerGoes fills the part of one address, of all strangers, and all
// connections: the oldest of the most crowded address goes, and only after its
// time.
func TestOldestStrangerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, 1024, false)
		for i := range r.each {
			r.enter(fmt.Sprintf("10.0.0.1:%d", i), fmt.Sprintf("a%d", i))
		}
		begin := time.Now()
		r.enter("10.0.0.2:1", "b0")
		require.Zero(t, time.Since(begin), "another address does not wait")
		r.enter("10.0.0.1:9999", "late")
		require.Equal(t, Grace, time.Since(begin), "one more of a crowded address waits for the oldest one's time")
		require.Equal(t, []string{"a0"}, r.gone())

		// The rest of the share, by addresses of their own.
		for i := range r.share - int(r.strangers.Load()) {
			r.enter(fmt.Sprintf("10.0.1.%d:1", i), fmt.Sprintf("c%d", i))
		}
		require.EqualValues(t, r.share, r.strangers.Load())
		r.enter("10.0.2.1:1", "d0")
		require.Equal(t, []string{"a0", "a1"}, r.gone(), "the oldest of the address that has the most, not of all")
		require.EqualValues(t, r.share, r.strangers.Load())
		require.EqualValues(t, 2, r.evicted.Load())
		require.EqualValues(t, 1, r.crowded.Load(), "it is said once in a while")
	})
}

// TestKnownStay has strangers come to a worker that is full of known peers.
func TestKnownStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, 20, false)
		var known []*Guest
		for i := range 19 {
			g := r.enter("10.0.0.1:1", fmt.Sprintf("known %d", i))
			admitted(t, g, "anonymous")
			known = append(known, g)
		}
		<-time.After(time.Hour)
		r.enter("10.0.0.1:1", "stranger")
		last := r.enter("10.0.0.2:1", "last")
		require.Equal(t, []string{"stranger"}, r.gone(), "whoever is known stays")
		admitted(t, last, "anonymous")
		_, err := r.Enter("10.0.0.3:1", func() {}, false)
		require.ErrorIs(t, err, transport.ErrLimit, "there is no stranger to evict")
		known[0].Gone()
		known[0].Leave("anonymous")
		r.enter("10.0.0.3:1", "next")
		require.EqualValues(t, 1, r.strangers.Load())
	})
}

// TestRoomWhileWaiting lets one in at once when another leaves or becomes known.
func TestRoomWhileWaiting(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, g *Guest){
		"leaves":  func(_ *testing.T, g *Guest) { g.Gone() },
		"known":   func(t *testing.T, g *Guest) { admitted(t, g, "anonymous") },
		"overdue": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom(t, 1024, false)
				var first *Guest
				for i := range r.each {
					if g := r.enter("[2001:db8::1]:1", strconv.Itoa(i)); first == nil {
						first = g
					}
				}
				begin := time.Now()
				done := make(chan time.Duration, 1)
				go func() {
					r.enter("[2001:db8::2]:1", "waits") // the same network
					done <- time.Since(begin)
				}()
				synctest.Wait()
				if leave == nil {
					require.Equal(t, Grace, <-done)
					return
				}
				leave(t, first)
				require.Zero(t, <-done)
				require.Empty(t, r.gone())
			})
		})
	}
}

// TestFlood verifies the purpose of Grace: under any number of silent
// connections, one that authenticates gets in, in turn.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, 1024, true)
		queue := make(chan string, 4096) // as a listener's
		done := make(chan struct{})
		good := make(chan time.Duration, 10)
		go func() {
			defer close(done)
			for name := range queue {
				g := r.enter("10.0.0.1:1", name)
				if name == "good" {
					go func() {
						begin := time.Now()
						<-time.After(Grace / 2) // two round trips
						err := g.Greet()
						if err == nil {
							err = g.Admit("alice", 0)
						}
						if err != nil {
							t.Error(err)
						}
						good <- time.Since(begin)
					}()
				}
			}
		}()
		begin := time.Now()
		for i := range 4000 {
			if i%400 == 0 {
				queue <- "good"
			}
			queue <- "silent"
		}
		close(queue)
		<-done
		for range 10 {
			<-good
		}
		require.LessOrEqual(t, r.strangers.Load(), int64(r.each))
		require.LessOrEqual(t, time.Since(begin), 4010/time.Duration(r.each)*Grace+time.Second)
	})
}

// TestIdentityPart lets one identity take all it can: half of what the others
// leave, or its own quota instead.
func TestIdentityPart(t *testing.T) {
	const maximum = 64
	r := newRoom(t, maximum, true)
	take := func(who string, most int64) (n int) {
		for {
			g := r.enter("10.0.0.1:1", who)
			require.NoError(t, g.Greet())
			err := g.Admit(who, most)
			if err == nil {
				n++
				continue
			}
			g.Gone()
			q, ok := errors.AsType[*transport.QuotaError](err)
			require.True(t, ok, err)
			require.Equal(t, "connections", q.What)
			require.EqualValues(t, n, q.Used)
			return n
		}
	}
	require.Equal(t, maximum/IdentityPart, take("mallory", 0))
	require.Equal(t, maximum/IdentityPart/IdentityPart, take("moriarty", 0))
	require.Equal(t, 3, take("with a quota", 3))
	require.Positive(t, take("alice", 0))
	require.Zero(t, r.strangers.Load())
}

// TestStreams verifies what a connection of several streams counts for: one
// that says hello at a time, each that is known, and a stranger when none is
// left.
func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, 4, false)
		ended := false
		g, err := r.Enter("10.0.0.1:1", func() { ended = true }, true)
		require.NoError(t, err)
		require.NoError(t, g.Greet())
		require.ErrorIs(t, g.Greet(), transport.ErrLimit, "one at a time")
		g.Refuse()
		for range 4 {
			admitted(t, g, "a")
		}
		require.Zero(t, r.strangers.Load())
		require.NoError(t, g.Greet())
		require.ErrorIs(t, g.Admit("a", 0), transport.ErrLimit)
		<-time.After(time.Hour)
		for i := range 4 {
			require.Zero(t, r.strangers.Load(), i)
			g.Leave("a")
		}
		require.EqualValues(t, 1, r.strangers.Load())
		require.Empty(t, r.by)
		<-time.After(time.Minute + time.Second)
		synctest.Wait()
		require.True(t, ended, "it has the time of a stranger again")
		require.True(t, g.Evicted())
		require.ErrorIs(t, g.Greet(), transport.ErrClosed)
		require.ErrorIs(t, g.Admit("a", 0), transport.ErrClosed)
		g.Gone()
		require.Zero(t, r.strangers.Load())
		require.Empty(t, r.from)
	})
}

// TestEnds verifies that no connection waits in a table whose worker has ended.
func TestEnds(t *testing.T) {
	r := newRoom(t, 1, false)
	g := r.enter("10.0.0.1:1", "first")
	close(r.ended)
	_, err := r.Enter("10.0.0.1:1", func() {}, false)
	require.ErrorIs(t, err, transport.ErrClosed)
	g.Gone()
}

func TestNetwork(t *testing.T) {
	for _, same := range [][]string{
		{"10.0.0.1:5", "10.0.0.1:6", "10.0.0.1", "[::ffff:10.0.0.1]:5"},
		{"[2001:db8::1]:5", "[2001:db8::ffff:1]:9", "2001:db8::2", "[2001:db8::3%eth0]:1"},
		{"unknown", "@", "/run/socket", ""},
	} {
		for _, a := range same[1:] {
			require.Equal(t, Network(same[0]), Network(a), a)
		}
	}
	require.NotEqual(t, Network("[2001:db8:0:1::1]:5"), Network("[2001:db8::1]:5"))
	require.NotEqual(t, Network("10.0.0.2:5"), Network("10.0.0.1:5"))
}
