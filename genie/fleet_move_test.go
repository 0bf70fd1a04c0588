package genie_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
)

// lines is a log that a test reads.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// newMovers is a crew whose workers may send to each other. Computing is slow and links
// are fast, or the other way round.
func newMovers(t *testing.T, speed route.Speed, rate float64) *crew {
	c := &crew{t: t, dir: fleet.NewMemory()}
	for range 2 {
		c.add(workertest.Start(t, workertest.WithPeers(t, nil)), route.Worker{Speed: speed, Link: route.Link{Rate: rate}})
	}
	return c
}

// other drains the worker that has a session, and gives the other one. It returns when
// everybody can know.
func (c *crew) drain() (at int) {
	c.t.Helper()
	for i, w := range c.workers {
		if w.Engine.Stats().Sessions > 0 {
			c.say(i, func(f *fleet.Facts) { f.Draining = true })
			return i
		}
	}
	c.t.Fatal("no worker has a session")
	return 0
}

// TestFleetSendsTheCache drains a worker in the middle of generations that its own loop
// runs: the cache is sent where that is cheaper than to compute it again, and the
// tokens are those of an unbroken run either way.
func TestFleetSendsTheCache(t *testing.T) {
	for name, tt := range map[string]struct {
		speed route.Speed
		rate  float64
		sent  bool
	}{
		"fast link": {route.Speed{FLOPS: 1e7, Read: 1e7}, 1e10, true},
		"slow link": {route.Speed{FLOPS: 1e12, Read: 1e12}, 1e3, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, m, log := newMovers(t, tt.speed, tt.rate), basic(t), &lines{}
			client := c.open(genie.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
			want := alone(t, m, 100)
			s, err := client.NewSession(t.Context())
			require.NoError(t, err)
			at := 0
			got := generate(t, s, m, 100, func(i int) {
				if i == 10 {
					at = c.drain()
					require.Eventually(t, func() bool { return client.Draining(c.members[at].ID()) }, 10*time.Second, time.Millisecond)
				}
			})
			require.Equal(t, want, got)
			require.Equal(t, tt.sent, log.has("was sent to another worker"), log.text.String())
			require.Positive(t, c.runs()[1-at])
			require.Eventually(t, func() bool { return c.workers[at].Engine.Stats().Sessions == 0 }, 10*time.Second, time.Millisecond)
			require.Equal(t, want, generate(t, s, m, 100, nil), "and it generates again")
		})
	}
}

// adder is a program that adds its input to what it carries.
func adder() *lazy.Tensor {
	g := lazy.NewGraph("counter")
	x := g.Input("x", lazy.F32, 3)
	before := g.Input("before", lazy.F32, 3)
	sum := lazy.Add(before, x)
	g.Carry(before, sum)
	return sum
}

// TestFleetSendsState drains the worker of a session whose state the client cannot
// compute again.
func TestFleetSendsState(t *testing.T) {
	c := newMovers(t, route.Speed{}, 0)
	client := c.open()
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	sum := adder()
	add := func(want float32) {
		t.Helper()
		out, err := s.Run(t.Context(), genie.Feed{"x": genie.Float32s([]float32{1, 2, 3}, 3)}, sum)
		require.NoError(t, err)
		got, err := out[0].Float32s(t.Context())
		require.NoError(t, err)
		require.Equal(t, []float32{want, 2 * want, 3 * want}, got)
	}
	add(1)
	add(2)
	at := c.drain()
	require.Eventually(t, func() bool { return client.Draining(c.members[at].ID()) }, 10*time.Second, time.Millisecond)
	add(3)
	require.Positive(t, c.runs()[1-at], "it ran on the other worker")
	require.NoError(t, c.workers[at].Close())
	add(4)
}

// TestFleetStateStays has workers that do not send to each other: a session with state
// stays on the draining worker, which still serves it.
func TestFleetStateStays(t *testing.T) {
	c := newCrew(t, 2)
	client := c.open()
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	sum := adder()
	run := func() error {
		_, err := s.Run(t.Context(), genie.Feed{"x": genie.Float32s([]float32{1, 2, 3}, 3)}, sum)
		return err
	}
	require.NoError(t, run())
	at := c.drain()
	require.Eventually(t, func() bool { return client.Draining(c.members[at].ID()) }, 10*time.Second, time.Millisecond)
	require.NoError(t, run())
	require.Zero(t, c.runs()[1-at])
	require.NoError(t, c.workers[at].Close())
	require.ErrorIs(t, run(), genie.ErrSessionLost)
	require.NoError(t, s.Reset(context.WithoutCancel(t.Context())))
	require.NoError(t, run())
}
