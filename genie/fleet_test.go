package genie_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// shared is a directory that a client's Close leaves open.
type shared struct{ *fleet.Memory }

func (shared) Close() error { return nil }

// crew is workers in a directory in this process.
type crew struct {
	t       *testing.T
	dir     *fleet.Memory
	workers []*workertest.Worker
	members []*fleet.Member
	facts   []*atomic.Pointer[fleet.Facts] // what each says, once set
}

func newCrew(t *testing.T, n int) *crew {
	c := &crew{t: t, dir: fleet.NewMemory()}
	for range n {
		c.add(workertest.Start(t, nil), route.Worker{Speed: route.Speed{FLOPS: 1e8, Read: 1e8}})
	}
	return c
}

// add lets a worker join.
func (c *crew) add(w *workertest.Worker, facts route.Worker) {
	facts.Address = "tcp://" + w.TCP
	said := &atomic.Pointer[fleet.Facts]{}
	said.Store(&fleet.Facts{Worker: facts})
	m := fleet.Join(c.dir, func() fleet.Facts { return *said.Load() }, fleet.JoinOptions{Lease: time.Minute})
	c.t.Cleanup(func() { _ = m.Leave(context.Background()) })
	c.workers, c.members, c.facts = append(c.workers, w), append(c.members, m), append(c.facts, said)
}

func (c *crew) open(opts ...genie.Option) *genie.Client {
	c.t.Helper()
	client, err := genie.Open(c.t.Context(), "memory://here", append(opts, genie.WithDirectory(func(string) (fleet.Directory, error) {
		return shared{c.dir}, nil
	}))...)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// say changes what a worker says of itself, and waits until a follower has it.
func (c *crew) say(i int, change func(f *fleet.Facts)) {
	c.t.Helper()
	f := *c.facts[i].Load()
	change(&f)
	f.Runs++
	c.facts[i].Store(&f)
	c.members[i].Changed()
	follower, err := fleet.Follow(c.t.Context(), shared{c.dir}, fleet.FollowOptions{})
	require.NoError(c.t, err)
	defer follower.Close()
	require.Eventually(c.t, func() bool {
		for _, w := range follower.Workers() {
			if w.ID == c.members[i].ID() && w.Runs == f.Runs {
				return true
			}
		}
		return false
	}, 10*time.Second, time.Millisecond)
}

// runs is how many runs each worker has done.
func (c *crew) runs() (out []int64) {
	for _, w := range c.workers {
		out = append(out, w.Engine.Stats().Runs)
	}
	return out
}

func basic(t *testing.T) *gpt2.Model {
	t.Helper()
	m, err := gpt2.Load(t.Context(), filepath.Join("..", "testdata", "gpt2", "basic"), gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func generate(t *testing.T, s *genie.Session, m *gpt2.Model, n int, on func(i int)) [][]int {
	t.Helper()
	seen := 0
	out, err := genie.Generate(t.Context(), s, m.LM, genie.GenerateRequest{
		Prompts: [][]int{{1, 2, 3, 4}}, MaxNew: n, IgnoreEOS: true,
		OnToken: func(int, int) error {
			if seen++; on != nil {
				on(seen)
			}
			return nil
		},
	})
	require.NoError(t, err)
	return out.Tokens
}

// alone is what the model generates in this process.
func alone(t *testing.T, m *gpt2.Model, n int) [][]int {
	t.Helper()
	c, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer c.Close()
	s, err := c.NewSession(t.Context())
	require.NoError(t, err)
	return generate(t, s, m, n, nil)
}

// TestFleetSpreadsSessions runs sessions at once: they do not all meet on the worker
// that had the weights first. Whether all workers get some is a matter of costs:
// sequences of one worker share the reading of its weights.
func TestFleetSpreadsSessions(t *testing.T) {
	c, m := newCrew(t, 3), basic(t)
	client, want := c.open(), alone(t, m, 12)
	var sessions []*genie.Session
	for range 6 {
		s, err := client.NewSession(t.Context())
		require.NoError(t, err)
		sessions = append(sessions, s)
	}
	var all, begun sync.WaitGroup
	begun.Add(len(sessions))
	together := make(chan struct{})
	go func() { begun.Wait(); close(together) }()
	first := func(seen int) { // none ends before all have begun
		if seen > 1 {
			return
		}
		begun.Done()
		select {
		case <-together:
		case <-time.After(5 * time.Second):
		}
	}
	for _, s := range sessions {
		all.Go(func() {
			if got := generate(t, s, m, 12, first); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
	all.Wait()
	busy := slices.DeleteFunc(c.runs(), func(n int64) bool { return n == 0 })
	require.Greater(t, len(busy), 1, "%v", c.runs())
	for _, s := range sessions {
		require.NoError(t, s.Close())
	}
	require.Positive(t, client.Ledger().Sent.Total())
}

// TestFleetGoesWhereTheWeightsAre has one worker with the weights.
func TestFleetGoesWhereTheWeightsAre(t *testing.T) {
	c, m := newCrew(t, 3), basic(t)
	one := func(url string) { // brings the weights there
		client, err := genie.Open(t.Context(), url)
		require.NoError(t, err)
		defer client.Close()
		s, err := client.NewSession(t.Context())
		require.NoError(t, err)
		generate(t, s, m, 1, nil)
	}
	one("tcp://" + c.workers[1].TCP)
	held := route.NewFilter(100)
	for _, h := range c.workers[1].Engine.Held() {
		held.Add(route.KeyOf(h))
	}
	for i := range 3 {
		c.say(i, func(f *fleet.Facts) {
			f.Link.Rate = 1e6
			if i == 1 {
				f.Weights = held
			}
		})
	}
	before := c.runs()
	client := c.open()
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	generate(t, s, m, 4, nil)
	require.Equal(t, before[0], c.runs()[0])
	require.Greater(t, c.runs()[1], before[1])
	require.Equal(t, before[2], c.runs()[2])
	require.Less(t, client.Ledger().Sent.Total(), int64(100<<10), "no weights were sent")
}

// TestFleetDistrusts has a worker that says it holds weights which it does not hold: the
// session gets them sent, and its word counts no longer.
func TestFleetDistrusts(t *testing.T) {
	c, m := newCrew(t, 2), basic(t)
	lie := route.NewFilter(100)
	for _, x := range m.LM.Next.Graph().Tensors() {
		if h, _ := x.WeightRef(); x.Kind() == lazy.KindWeight {
			lie.Add(route.KeyOf(h))
		}
	}
	for i := range 2 {
		c.say(i, func(f *fleet.Facts) {
			f.Link.Rate = 1e6
			if i == 1 {
				f.Weights = lie
			}
		})
	}
	client, want := c.open(), alone(t, m, 4)
	first, err := client.NewSession(t.Context())
	require.NoError(t, err)
	require.False(t, client.Distrusts(c.members[1].ID(), m.LM.Next.Graph()))
	require.Equal(t, want, generate(t, first, m, 4, nil))
	require.Positive(t, c.runs()[1])
	require.True(t, client.Distrusts(c.members[1].ID(), m.LM.Next.Graph()))
}

// TestFleetWorkerLost ends a worker in the middle of a generation: the session
// resumes on another one, with the same tokens.
func TestFleetWorkerLost(t *testing.T) {
	c, m := newCrew(t, 3), basic(t)
	client, want := c.open(genie.WithReconnect(8*time.Second)), alone(t, m, 40)
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	got := generate(t, s, m, 40, func(i int) {
		if i == 10 {
			for _, w := range c.workers {
				if w.Engine.Stats().Sessions > 0 {
					go func() { _ = w.Close() }()
					return
				}
			}
		}
	})
	require.Equal(t, want, got)
	require.NoError(t, s.Close())
}

// TestFleetWithoutWorkers ends all: a typed error in time.
func TestFleetWithoutWorkers(t *testing.T) {
	c, m := newCrew(t, 2), basic(t)
	client := c.open(genie.WithReconnect(time.Second))
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	for _, w := range c.workers {
		require.NoError(t, w.Close())
	}
	begin := time.Now()
	_, err = genie.Generate(t.Context(), s, m.LM, genie.GenerateRequest{Prompts: [][]int{{1}}, MaxNew: 4})
	require.ErrorIs(t, err, genie.ErrUnreachable)
	require.Less(t, time.Since(begin), time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = client.NewSession(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestFleetDrainMovesSessions drains the worker of an idle session: its next
// generation runs elsewhere, and the worker could have stopped before.
func TestFleetDrainMovesSessions(t *testing.T) {
	c, m := newCrew(t, 2), basic(t)
	client, want := c.open(), alone(t, m, 8)
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, generate(t, s, m, 8, nil))
	at := 0
	if c.workers[1].Engine.Stats().Sessions > 0 {
		at = 1
	}
	c.say(at, func(f *fleet.Facts) { f.Draining = true })
	before := c.runs()
	require.Eventually(t, func() bool { // the client's own follower has it, too
		require.Equal(t, want, generate(t, s, m, 8, nil))
		return c.workers[at].Engine.Stats().Sessions == 0
	}, 10*time.Second, time.Millisecond)
	require.Greater(t, c.runs()[1-at], before[1-at])
	require.NoError(t, c.workers[at].Close())
	require.Equal(t, want, generate(t, s, m, 8, nil))
}

// TestFleetDirectoryGone closes the directory: sessions continue, also new ones.
func TestFleetDirectoryGone(t *testing.T) {
	c, m := newCrew(t, 2), basic(t)
	client, want := c.open(), alone(t, m, 8)
	require.NoError(t, c.dir.Close())
	for range 4 {
		s, err := client.NewSession(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, generate(t, s, m, 8, nil))
		require.NoError(t, s.Close())
	}
}

func TestFleetURLs(t *testing.T) {
	for _, url := range []string{"nats://127.0.0.1:1", "tls://h:1,tls://i:1", "file://host/x", "file:"} {
		_, err := genie.Open(t.Context(), url)
		require.ErrorIs(t, err, genie.ErrURL, url)
	}
	_, err := genie.Open(t.Context(), "nats://127.0.0.1:1", genie.WithDirectory(func(string) (fleet.Directory, error) {
		return nil, fmt.Errorf("%w: %w", fleet.ErrDirectory, errors.ErrUnsupported)
	}))
	require.ErrorIs(t, err, genie.ErrDirectory)
	_, err = genie.Open(t.Context(), "file://"+t.TempDir(), genie.WithReconnect(100*time.Millisecond))
	require.ErrorIs(t, err, genie.ErrNoWorker, "a fleet without workers")
	require.ErrorIs(t, err, transport.ErrUnreachable)
	_, err = genie.Open(t.Context(), "file://"+t.TempDir(), genie.WithPlacement(semantic.PlaceSingle()))
	require.ErrorIs(t, err, genie.ErrURL, "a placement over a directory")
}

// TestFleetFolder finds a worker through files.
func TestFleetFolder(t *testing.T) {
	w := workertest.Start(t, nil)
	path := t.TempDir()
	dir, err := fleet.OpenFolder(path)
	require.NoError(t, err)
	defer dir.Close()
	m := fleet.Join(dir, func() fleet.Facts { return fleet.Facts{Worker: route.Worker{Address: "grpc://" + w.GRPC}} }, fleet.JoinOptions{})
	client, err := genie.Open(t.Context(), "file://"+path)
	require.NoError(t, err)
	defer client.Close()
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	require.Equal(t, alone(t, basic(t), 4), generate(t, s, basic(t), 4, nil))
	require.NoError(t, m.Leave(t.Context()))
}
