package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/internal/fleettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// view is a directory of one process whose Close ends this view of it.
type view struct {
	fleet.Directory

	mu     sync.Mutex
	closed bool
}

func (v *view) isClosed() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closed
}

func TestMemory(t *testing.T) {
	fleettest.Run(t, func(t *testing.T) func() fleet.Directory {
		m := fleet.NewMemory()
		t.Cleanup(func() { _ = m.Close() })
		if t.Name() == "TestMemory/expiry" {
			return func() fleet.Directory { return &view{Directory: m} }
		}
		return func() fleet.Directory { return m }
	})
}

// Put implements [fleet.Directory].
func (v *view) Put(ctx context.Context, key string, value []byte, lease time.Duration) error {
	if v.isClosed() {
		return errors.New("closed")
	}
	return v.Directory.Put(ctx, key, value, lease)
}

// Close implements [fleet.Directory].
func (v *view) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	return nil
}

func TestFolder(t *testing.T) {
	fleettest.Run(t, func(t *testing.T) func() fleet.Directory {
		path := filepath.Join(t.TempDir(), "fleet")
		return func() fleet.Directory {
			f, err := fleet.OpenFolder(path)
			require.NoError(t, err)
			t.Cleanup(func() { _ = f.Close() })
			return f
		}
	})
}

// TestFolderLeavesOut puts files into a folder that are no entries, or would block or
// lead elsewhere.
func TestFolderLeavesOut(t *testing.T) {
	path := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(path, "secret"), []byte("1\nsecret"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(path, "secret"), filepath.Join(path, "facts.link.entry")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(path, "facts.pipe.entry"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(path, "facts.folder.entry"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(path, "facts.large.entry"), make([]byte, 2*fleet.MaxEntry), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(path, "facts.line.entry"), []byte("no line"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(path, "facts.ok.entry"), []byte("1\nok"), 0o600))
	f, err := fleet.OpenFolder(path)
	require.NoError(t, err)
	defer f.Close()
	w, err := f.Watch(t.Context())
	require.NoError(t, err)
	defer w.Close()
	c, err := w.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, "facts.ok", c.Key)
	c, err = w.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, fleet.Synced, c.Kind)
}

// scripted is a directory whose watch shows what a test says.
type scripted struct {
	fleet.Directory
	p *fleet.Pending
}

func (s *scripted) Watch(context.Context) (fleet.Watch, error) { return s.p, nil }

func entry(port int) []byte {
	return fmt.Appendf(nil, `{"address": "tcp://127.0.0.1:%d", "lease_seconds": 2}`, port)
}

// clock is a clock that a test moves.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1000, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// TestLastTableStays loses the directory for longer than all leases, and gets it back
// empty.
func TestLastTableStays(t *testing.T) {
	s, c := &scripted{p: fleet.NewPending(func() {})}, &clock{}
	for i := range 3 {
		s.p.Add(fleet.Change{Kind: fleet.Written, Key: fmt.Sprintf("facts.w%d", i), Value: entry(i + 1)})
	}
	s.p.Add(fleet.Change{Kind: fleet.Synced})
	f, err := fleet.Follow(t.Context(), s, fleet.FollowOptions{Now: c.now})
	require.NoError(t, err)
	defer f.Close()
	require.Len(t, f.Workers(), 3)

	s.p.Add(fleet.Change{Kind: fleet.Lost})
	require.Eventually(t, f.Lost, 10*time.Second, time.Millisecond)
	c.advance(time.Hour)
	s.p.Add(fleet.Change{Kind: fleet.Written, Key: "facts.w3", Value: entry(4)}) // something to wake for
	require.Eventually(t, func() bool { return len(f.Workers()) == 4 }, 10*time.Second, time.Millisecond)
	require.True(t, f.Workers()[0].Stale)
	_, err = f.Route(route.NewRandom(1), route.Request{})
	require.NoError(t, err, "requests are routed by the last table")

	s.p.Add(fleet.Change{Kind: fleet.Synced})
	require.Eventually(t, func() bool { return !f.Lost() }, 10*time.Second, time.Millisecond)
	require.Len(t, f.Workers(), 4, "they have a lease's time to come back")
	c.advance(3 * time.Second)
	s.p.Add(fleet.Change{Kind: fleet.Written, Key: "facts.w1", Value: entry(2)})
	require.Eventually(t, func() bool { return len(f.Workers()) == 1 }, 10*time.Second, time.Millisecond)
	require.Equal(t, "w1", f.Workers()[0].ID)
}

// TestFollowBounds has a directory with more workers than a follower takes.
func TestFollowBounds(t *testing.T) {
	s := &scripted{p: fleet.NewPending(func() {})}
	for i := range 20 {
		s.p.Add(fleet.Change{Kind: fleet.Written, Key: fmt.Sprintf("held.h%d", i), Value: []byte("{}")})
		s.p.Add(fleet.Change{Kind: fleet.Written, Key: fmt.Sprintf("facts.w%d", i), Value: entry(i + 1)})
	}
	s.p.Add(fleet.Change{Kind: fleet.Synced})
	f, err := fleet.Follow(t.Context(), s, fleet.FollowOptions{Table: route.TableOptions{Workers: 10}})
	require.NoError(t, err)
	defer f.Close()
	require.Len(t, f.Workers(), 5, "filters without facts take places too, until their lease ends")
	require.Equal(t, 30, f.Refused())
}

// TestPendingCoalesces shows a slow reader the last of many changes.
func TestPendingCoalesces(t *testing.T) {
	p := fleet.NewPending(func() {})
	for i := range 1000 {
		p.Add(fleet.Change{Kind: fleet.Written, Key: "a", Value: fmt.Append(nil, i)})
	}
	for i := range 2 * fleet.MaxEntries {
		p.Add(fleet.Change{Kind: fleet.Written, Key: fmt.Sprint("b", i)})
	}
	p.Add(fleet.Change{Kind: fleet.Synced})
	c, err := p.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, "999", string(c.Value))
	n := 1
	for ; c.Kind != fleet.Synced; n++ {
		c, err = p.Next(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, fleet.MaxEntries+1, n)
}

func TestFollowWithoutDirectory(t *testing.T) {
	s := &scripted{p: fleet.NewPending(func() {})}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := fleet.Follow(ctx, s, fleet.FollowOptions{})
	require.ErrorIs(t, err, fleet.ErrDirectory)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
