// Package fleettest is the suite that every directory of a fleet passes.
package fleettest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/transport"
)

// patience bounds a wait in a test.
const patience = 20 * time.Second

// Run tests directories. open makes one over the same entries each time it is called
// in one test.
func Run(t *testing.T, open func(t *testing.T) func() fleet.Directory) {
	for name, test := range map[string]func(t *testing.T, open func() fleet.Directory){
		"changes":   changes,
		"entries":   entries,
		"watches":   watches,
		"closed":    closed,
		"members":   members,
		"drain":     drain,
		"expiry":    expiry,
		"filters":   filters,
		"hostile":   hostile,
		"cancelled": cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// see waits for a change that is as wanted, and skips others.
func see(t *testing.T, w fleet.Watch, want fleet.Change) {
	t.Helper()
	for {
		c, err := w.Next(within(t))
		require.NoError(t, err, "waiting for %s %s", want.Kind, want.Key)
		if c.Kind == want.Kind && c.Key == want.Key && (c.Kind != fleet.Written || string(c.Value) == string(want.Value)) {
			return
		}
	}
}

func changes(t *testing.T, open func() fleet.Directory) {
	d, ctx := open(), within(t)
	require.NoError(t, d.Put(ctx, "facts.a", []byte("1"), time.Minute))
	w, err := d.Watch(ctx)
	require.NoError(t, err)
	defer w.Close()
	see(t, w, fleet.Change{Kind: fleet.Written, Key: "facts.a", Value: []byte("1")})
	see(t, w, fleet.Change{Kind: fleet.Synced})
	require.NoError(t, d.Put(ctx, "facts.a", []byte("2"), time.Minute))
	see(t, w, fleet.Change{Kind: fleet.Written, Key: "facts.a", Value: []byte("2")})
	require.NoError(t, d.Put(ctx, "facts.a", []byte("2"), time.Minute), "a renewal is a change")
	see(t, w, fleet.Change{Kind: fleet.Written, Key: "facts.a", Value: []byte("2")})
	require.NoError(t, d.Delete(ctx, "facts.a"))
	see(t, w, fleet.Change{Kind: fleet.Deleted, Key: "facts.a"})
	require.NoError(t, d.Delete(ctx, "facts.a"))
}

func entries(t *testing.T, open func() fleet.Directory) {
	d, ctx := open(), within(t)
	for _, key := range []string{"", "A", "a b", "../a", "a/b", ".a", "a*", "a>", "ä", string(make([]byte, 100))} {
		require.ErrorIs(t, d.Put(ctx, key, nil, time.Minute), fleet.ErrEntry, "%q", key)
	}
	require.ErrorIs(t, d.Put(ctx, "a", make([]byte, fleet.MaxEntry+1), time.Minute), fleet.ErrEntry)
	large := make([]byte, fleet.MaxEntry)
	require.NoError(t, d.Put(ctx, "a", large, time.Minute))
	w, err := d.Watch(ctx)
	require.NoError(t, err)
	defer w.Close()
	see(t, w, fleet.Change{Kind: fleet.Written, Key: "a", Value: large})
}

func watches(t *testing.T, open func() fleet.Directory) {
	a, b, ctx := open(), open(), within(t)
	first, err := a.Watch(ctx)
	require.NoError(t, err)
	second, err := b.Watch(ctx)
	require.NoError(t, err)
	see(t, first, fleet.Change{Kind: fleet.Synced})
	require.NoError(t, b.Put(ctx, "x", []byte("1"), time.Minute))
	see(t, first, fleet.Change{Kind: fleet.Written, Key: "x", Value: []byte("1")})
	see(t, second, fleet.Change{Kind: fleet.Written, Key: "x", Value: []byte("1")})
	require.NoError(t, first.Close())
	_, err = first.Next(ctx)
	require.ErrorIs(t, err, transport.ErrClosed)
	require.NoError(t, a.Put(ctx, "x", []byte("2"), time.Minute))
	see(t, second, fleet.Change{Kind: fleet.Written, Key: "x", Value: []byte("2")})
	require.NoError(t, second.Close())
}

func closed(t *testing.T, open func() fleet.Directory) {
	d, ctx := open(), within(t)
	w, err := d.Watch(ctx)
	require.NoError(t, err)
	see(t, w, fleet.Change{Kind: fleet.Synced})
	require.NoError(t, d.Close())
	_, err = w.Next(ctx)
	require.ErrorIs(t, err, transport.ErrClosed)
	require.ErrorIs(t, d.Put(ctx, "a", nil, time.Minute), transport.ErrClosed)
	require.ErrorIs(t, d.Delete(ctx, "a"), transport.ErrClosed)
	_, err = d.Watch(ctx)
	require.ErrorIs(t, err, transport.ErrClosed)
	require.NoError(t, d.Close())
}

func cancelled(t *testing.T, open func() fleet.Directory) {
	d, ctx := open(), within(t)
	w, err := d.Watch(ctx)
	require.NoError(t, err)
	defer w.Close()
	see(t, w, fleet.Change{Kind: fleet.Synced})
	over, cancel := context.WithCancel(ctx)
	cancel()
	_, err = w.Next(over)
	require.ErrorIs(t, err, context.Canceled)
	require.Error(t, d.Put(over, "a", nil, time.Minute))
	require.NoError(t, d.Put(ctx, "a", []byte("1"), time.Minute))
	see(t, w, fleet.Change{Kind: fleet.Written, Key: "a", Value: []byte("1")})
}

func worker(port int) func() fleet.Facts {
	return func() fleet.Facts {
		return fleet.Facts{Worker: route.Worker{Address: fmt.Sprintf("tcp://127.0.0.1:%d", port)}}
	}
}

// becomes waits until the workers of a follower are as wanted.
func becomes(t *testing.T, f *fleet.Follower, why string, ok func(ws []fleet.Status) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return ok(f.Workers()) }, patience, 5*time.Millisecond, why)
}

func count(n int) func(ws []fleet.Status) bool {
	return func(ws []fleet.Status) bool { return len(ws) == n }
}

func members(t *testing.T, open func() fleet.Directory) {
	ctx := within(t)
	a := fleet.Join(open(), worker(1), fleet.JoinOptions{})
	b := fleet.Join(open(), worker(2), fleet.JoinOptions{})
	f, err := fleet.Follow(ctx, open(), fleet.FollowOptions{})
	require.NoError(t, err)
	defer f.Close()
	becomes(t, f, "two workers", count(2))
	d, err := f.Route(route.NewRoundRobin(), route.Request{})
	require.NoError(t, err)
	require.Contains(t, []string{a.ID(), b.ID()}, d.Worker)
	require.NoError(t, a.Leave(ctx))
	becomes(t, f, "one leaves", count(1))
	require.Equal(t, b.ID(), f.Workers()[0].ID)
	require.NoError(t, b.Leave(ctx))
	becomes(t, f, "both left", count(0))
	_, err = f.Route(route.NewRoundRobin(), route.Request{})
	require.ErrorIs(t, err, route.ErrNoWorker)
}

func drain(t *testing.T, open func() fleet.Directory) {
	ctx := within(t)
	a := fleet.Join(open(), worker(1), fleet.JoinOptions{Lease: time.Minute})
	f, err := fleet.Follow(ctx, open(), fleet.FollowOptions{})
	require.NoError(t, err)
	defer f.Close()
	becomes(t, f, "one worker", count(1))
	a.Drain()
	becomes(t, f, "it drains, without waiting for its lease", func(ws []fleet.Status) bool { return len(ws) == 1 && ws[0].Draining })
	_, err = f.Route(route.NewLeastLoaded(1), route.Request{})
	require.ErrorIs(t, err, route.ErrNoWorker)
	require.NoError(t, a.Leave(ctx))
}

// expiry has a worker that falls silent.
func expiry(t *testing.T, open func() fleet.Directory) {
	ctx := within(t)
	dir := open()
	f, err := fleet.Follow(ctx, open(), fleet.FollowOptions{})
	require.NoError(t, err)
	defer f.Close()
	silent := fleet.Join(dir, worker(1), fleet.JoinOptions{Lease: time.Second})
	alive := fleet.Join(open(), worker(2), fleet.JoinOptions{Lease: time.Second})
	becomes(t, f, "two workers", count(2))
	require.NoError(t, dir.Close())
	becomes(t, f, "one fell silent", count(1))
	require.Equal(t, alive.ID(), f.Workers()[0].ID)
	_ = silent.Leave(ctx) // its directory is closed
	require.NoError(t, alive.Leave(ctx))
}

func filters(t *testing.T, open func() fleet.Directory) {
	ctx := within(t)
	held := route.NewFilter(route.MaxFilterBytes)
	held.Add(7)
	m := fleet.Join(open(), func() fleet.Facts {
		facts := worker(1)()
		facts.Weights, facts.Prefixes = held, held
		return facts
	}, fleet.JoinOptions{})
	f, err := fleet.Follow(ctx, open(), fleet.FollowOptions{})
	require.NoError(t, err)
	defer f.Close()
	becomes(t, f, "filters of the largest size", func(ws []fleet.Status) bool {
		return len(ws) == 1 && ws[0].Weights.Has(7) && ws[0].Prefixes.Has(7) && !ws[0].Weights.Has(8)
	})
	require.NoError(t, m.Leave(ctx))
}

// hostile writes entries that cannot be beside one that can.
func hostile(t *testing.T, open func() fleet.Directory) {
	ctx := within(t)
	d := open()
	bad := map[string]string{
		"facts.a": "{", "facts.b": "null", "facts.c": `{"address": "local:", "lease_seconds": 5}`, "held.d": `{"weights": "AAAA"}`,
		"facts.e":  `{"address": "tcp://h:1", "lease_seconds": 1e300}`,
		"facts.f":  `{"address": "tcp://u:p@h:1", "lease_seconds": 5}`,
		"facts.g":  `{"address": "tcp://h:1", "lease_seconds": 5, "flops": -1}`,
		"facts.h":  `{"address": "tcp://h:1", "lease_seconds": 5, "running": 99999999999}`,
		"facts.i":  `{"address": "file:///etc/passwd", "lease_seconds": 5}`,
		"facts.j":  `{"address": "tcp://h:1", "lease_seconds": 5, "zone": "\u001b[2J"}`,
		"facts.k":  `{"address": "tcp://h:1", "lease_seconds": 5, "waiting": [1, 2, 3, 4, -5]}`,
		"facts.l":  `{"address": "tcp://h:0", "lease_seconds": 5}`,
		"other":    "x",
		"facts.ok": `{"address": "tcp://h:1", "lease_seconds": 60, "unknown": {"a": [1]}, "waiting": [1, 2, 3, 4]}`,
	}
	for key, value := range bad {
		require.NoError(t, d.Put(ctx, key, []byte(value), time.Minute))
	}
	f, err := fleet.Follow(ctx, open(), fleet.FollowOptions{})
	require.NoError(t, err)
	defer f.Close()
	becomes(t, f, "the one that can be", func(ws []fleet.Status) bool { return len(ws) == 2 && f.Refused() >= len(bad)-2 })
	ids := []string{f.Workers()[0].ID, f.Workers()[1].ID}
	require.ElementsMatch(t, []string{"k", "ok"}, ids, "numbers beyond the classes are left out")
}
