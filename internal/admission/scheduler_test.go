package admission_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/admission"
	"github.com/genie-sdk/go/internal/benchname"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client asks for one run after the other.
type client struct {
	owner  string
	cost   func() time.Duration // of a run
	pause  func() time.Duration // between runs
	key    any
	flow   *admission.Flow
	ticket *admission.Ticket
	asked  time.Time
	ends   time.Time // of the run under way, or of the pause
	runs   int
	got    time.Duration
	waits  []time.Duration
}

func (c *client) admitted() bool {
	select {
	case <-c.ticket.Admitted():
		return true
	default:
		return false
	}
}

// simulation runs clients in virtual time, event by event.
type simulation struct {
	t       *testing.T
	now     time.Time
	s       *admission.Scheduler
	slots   int
	clients []*client
}

func simulate(t *testing.T, slots int, clients ...*client) *simulation {
	m := &simulation{t: t, now: time.Unix(1, 0), slots: slots, clients: clients}
	m.s = admission.New(admission.Options{MaxRunning: slots, Now: func() time.Time { return m.now }})
	for _, c := range clients {
		c.flow = m.s.Flow(c.owner)
		c.ends = m.now
		if c.pause != nil {
			c.ends = m.now.Add(c.pause())
		}
	}
	return m
}

// step goes to the next event and holds the bounds there.
func (m *simulation) step() {
	next := slices.MinFunc(m.clients, func(a, b *client) int { return m.due(a).Compare(m.due(b)) })
	m.now = m.due(next)
	if next.ticket == nil {
		next.asked = m.now
		next.ticket = next.flow.Ask(next.key)
	} else {
		next.ticket.Leave()
		next.got += m.now.Sub(next.asked) - next.waits[len(next.waits)-1]
		next.ticket, next.ends = nil, m.now
		next.runs++
		if next.pause != nil {
			next.ends = m.now.Add(next.pause())
		}
	}
	places := map[any]bool{}
	waiting := 0
	for i, c := range m.clients {
		switch {
		case c.ticket == nil:
			continue
		case !c.admitted():
			waiting++
			continue
		case len(c.waits) == c.runs:
			c.waits = append(c.waits, m.now.Sub(c.asked))
			c.ends = m.now.Add(c.cost())
		}
		if c.key != nil {
			places[c.key] = true
		} else {
			places[i] = true
		}
	}
	load := m.s.Load()
	switch {
	case load != admission.Load{Flows: len(m.clients), Waiting: waiting, Running: len(places)}:
		m.t.Fatalf("%+v, but %d wait and %d places are taken", load, waiting, len(places))
	case load.Running > m.slots:
		m.t.Fatalf("%d runs in %d places", load.Running, m.slots)
	case waiting > 0 && load.Running < m.slots:
		m.t.Fatalf("%d wait while %d of %d places are empty", waiting, m.slots-load.Running, m.slots)
	}
}

// due is when a client next does something by itself.
func (m *simulation) due(c *client) time.Time {
	if c.ticket != nil && !c.admitted() {
		return m.now.Add(time.Hour)
	}
	return c.ends
}

func (m *simulation) run(d time.Duration) {
	for end := m.now.Add(d); m.now.Before(end); {
		m.step()
	}
	for _, c := range m.clients {
		if c.ticket != nil {
			c.ticket.Leave()
		}
		c.flow.Close()
	}
	require.Zero(m.t, m.s.Load())
}

func always(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// TestBounds runs random clients: never more runs than places, no empty place
// while a run waits, and every client makes progress.
func TestBounds(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 5))
		random := func(most time.Duration) func() time.Duration {
			return func() time.Duration { return time.Duration(rng.Int64N(int64(most))) }
		}
		var clients []*client
		longest := time.Duration(0)
		for i := range 2 + rng.IntN(20) {
			most := time.Duration(1+rng.IntN(50)) * time.Millisecond
			longest = max(longest, most)
			c := &client{cost: random(most)}
			if rng.IntN(2) == 0 {
				c.pause = random(20 * time.Millisecond)
			}
			if rng.IntN(3) > 0 {
				c.owner = fmt.Sprint("owner", i%4)
			}
			if rng.IntN(3) == 0 {
				c.key = fmt.Sprint("key", i%2)
			}
			clients = append(clients, c)
		}
		m := simulate(t, 1+rng.IntN(4), clients...)
		m.run(4 * time.Second)
		for i, c := range clients {
			require.Positive(t, c.runs, "seed %d: client %d starved", seed, i)
			// Between two turns every other client that has been served as much
			// has a few turns, and so have the other flows of its own owner.
			require.LessOrEqual(t, slices.Max(c.waits), time.Duration(8*len(clients))*longest, "seed %d: client %d", seed, i)
		}
	}
}

// TestShares verifies that clients that always want to run get equal time,
// whatever their runs cost and however many flows an owner has.
func TestShares(t *testing.T) {
	for _, slots := range []int{1, 2, 3} {
		t.Run(fmt.Sprint("slots=", slots), func(t *testing.T) {
			short := []*client{}
			for range 2 * slots {
				short = append(short, &client{owner: "short", cost: always(time.Millisecond)})
			}
			many := []*client{}
			for range 9 {
				many = append(many, &client{owner: "many", cost: always(7 * time.Millisecond)})
			}
			long := []*client{}
			for range slots {
				long = append(long, &client{owner: "long", cost: always(100 * time.Millisecond)})
			}
			m := simulate(t, slots, slices.Concat(short, many, long)...)
			m.run(20 * time.Second)
			total := func(cs []*client) (d time.Duration) {
				for _, c := range cs {
					d += c.got
				}
				return d
			}
			all := total(short) + total(many) + total(long)
			for name, cs := range map[string][]*client{"short": short, "many": many, "long": long} {
				require.InDelta(t, 1./3, float64(total(cs))/float64(all), .03, name)
			}
			for _, c := range many {
				require.InDelta(t, 1./9, float64(c.got)/float64(total(many)), .03)
			}
		})
	}
}

// TestInteractive verifies that a client that runs seldom waits only for a
// running run to end, however many greedy sessions there are, once the cost of
// its runs is known.
func TestInteractive(t *testing.T) {
	const prefill = 80 * time.Millisecond
	clients := []*client{{cost: always(2 * time.Millisecond), pause: always(97 * time.Millisecond)}}
	for range 30 {
		clients = append(clients, &client{cost: always(prefill)})
	}
	m := simulate(t, 2, clients...)
	m.run(60 * time.Second)
	require.Greater(t, len(clients[0].waits), 300)
	require.LessOrEqual(t, slices.Max(clients[0].waits[2:]), prefill)
}

// TestIdleSavesNothingUp verifies that idle time gives no credit.
func TestIdleSavesNothingUp(t *testing.T) {
	away := true
	late := &client{cost: always(time.Millisecond), pause: func() time.Duration {
		if away {
			away = false
			return 10 * time.Second
		}
		return 0
	}}
	busy := &client{cost: always(time.Millisecond)}
	m := simulate(t, 1, late, busy)
	m.run(12 * time.Second)
	require.InDelta(t, float64(time.Second), float64(late.got), float64(20*time.Millisecond))
	require.InDelta(t, float64(11*time.Second), float64(busy.got), float64(20*time.Millisecond))
}

// TestGathered verifies that runs with one key take one place and one price,
// and that joining each other they do not keep others out.
func TestGathered(t *testing.T) {
	now := time.Unix(1, 0)
	s := admission.New(admission.Options{MaxRunning: 1, Now: func() time.Time { return now }})
	admitted := func(t *admission.Ticket) bool {
		select {
		case <-t.Admitted():
			return true
		default:
			return false
		}
	}
	var flows []*admission.Flow
	for range 5 {
		f := s.Flow("")
		defer f.Close()
		flows = append(flows, f)
	}
	first := flows[0].Ask("step")
	second := flows[1].Ask("step")
	require.True(t, admitted(first))
	require.True(t, admitted(second), "it joins the running one")
	require.Equal(t, 2, first.Company())
	other := flows[4].Ask(nil)
	third := flows[2].Ask("step")
	require.False(t, admitted(other))
	require.False(t, admitted(third), "another run was first")
	now = now.Add(10 * time.Millisecond)
	first.Leave()
	require.False(t, admitted(other), "the place is still taken")
	again := flows[0].Ask("step")
	second.Leave()
	require.True(t, admitted(other))
	require.False(t, admitted(third) || admitted(again))
	require.Equal(t, admission.Load{Flows: 5, Waiting: 2, Running: 1}, s.Load())
	now = now.Add(10 * time.Millisecond)
	other.Leave()
	require.True(t, admitted(third) && admitted(again), "they go together")
	require.Equal(t, 2, third.Company())
	third.Leave()
	again.Leave()
	again.Leave()
	require.Equal(t, admission.Load{Flows: 5}, s.Load())
}

// TestEnter waits, is let in, gives up and is cancelled.
func TestEnter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := admission.New(admission.Options{MaxRunning: 1})
		a, b := s.Flow("a"), s.Flow("b")
		first, err := a.Enter(t.Context(), nil)
		require.NoError(t, err)
		impatient := errors.New("impatient")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, impatient)
		defer cancel()
		begin := time.Now()
		_, err = b.Enter(ctx, nil)
		require.ErrorIs(t, err, impatient)
		require.Equal(t, time.Second, time.Since(begin))
		require.Equal(t, admission.Load{Flows: 2, Running: 1}, s.Load())
		done := make(chan error)
		go func() {
			second, err := b.Enter(t.Context(), nil)
			if err == nil {
				second.Leave()
			}
			done <- err
		}()
		synctest.Wait()
		first.Leave()
		require.NoError(t, <-done)
		a.Close()
		b.Close()
		require.Zero(t, s.Load())
	})
}

func BenchmarkEnter(b *testing.B) {
	s := admission.New(admission.Options{MaxRunning: 2})
	f := s.Flow("")
	b.Run(benchname.Of("admission-enter", "genie"), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t, err := f.Enter(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			t.Leave()
		}
	})
}
