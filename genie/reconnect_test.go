package genie_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/fault"
	"github.com/genie-sdk/go/internal/worker/workertest"
)

// gone is a link to a worker that can be cut off: connections are then refused,
// or accepted and never answered, as by a stopped process.
type gone struct {
	*fault.Proxy
	off  atomic.Bool
	gate chan struct{}
}

func cutOff(t *testing.T, target string) *gone {
	t.Helper()
	g := &gone{gate: make(chan struct{})}
	link, err := fault.Start(target, fault.Options{Accept: func(int) {
		if g.off.Load() {
			<-g.gate
		}
	}})
	require.NoError(t, err)
	g.Proxy = link
	return g
}

// away cuts the worker off.
func (g *gone) away(refuses bool) {
	g.off.Store(true)
	g.Retarget("127.0.0.1:1")
	if refuses {
		close(g.gate)
	}
	g.CutAll()
}

// TestDeadlineDuringReconnect verifies that a call whose worker is being waited
// for ends with its context's deadline, to within 200 ms, and says so.
func TestDeadlineDuringReconnect(t *testing.T) {
	const deadline, late = 500 * time.Millisecond, 200 * time.Millisecond
	m := tiny(t)
	w := workertest.Start(t, quick)
	targets := map[string]string{"tcp": w.TCP, "grpc": w.GRPC}
	for _, schemes := range [][]string{{"tcp"}, {"grpc"}, {"tcp", "grpc"}} {
		for _, refuses := range []bool{true, false} {
			var urls []string
			var links []*gone
			for _, scheme := range schemes {
				g := cutOff(t, targets[scheme])
				urls, links = append(urls, scheme+"://"+g.Addr()), append(links, g)
			}
			c, err := genie.Open(t.Context(), strings.Join(urls, ","), genie.WithHeartbeat(beat))
			require.NoError(t, err)
			y := rnn()
			s := session(t, c)
			x := genie.Feed{"x": genie.Float32s([]float32{1, 2}, 1, 2)}
			_, err = s.Run(t.Context(), x, y)
			require.NoError(t, err)
			for _, g := range links {
				g.away(refuses)
			}
			for name, call := range map[string]func(ctx context.Context) error{
				"run":      func(ctx context.Context) error { _, err := s.Run(ctx, x, y); return err },
				"session":  func(ctx context.Context) error { _, err := c.NewSession(ctx); return err },
				"generate": func(ctx context.Context) error { _, err := write(ctx, c, m, story()); return err },
				"stats":    func(ctx context.Context) error { _, err := c.Stats(ctx); return err },
			} {
				over := time.Hour
				for try := 0; try < 5 && over > late; try++ { // a machine that rests is not what this is about
					begin := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), deadline)
					err := call(ctx)
					over = min(over, time.Since(begin)-deadline)
					cancel()
					require.ErrorIs(t, err, context.DeadlineExceeded, "%v refuses=%v %s", schemes, refuses, name)
				}
				require.LessOrEqual(t, over, late, "%v refuses=%v %s", schemes, refuses, name)
			}
			for _, g := range links {
				if !refuses {
					close(g.gate)
				}
			}
			_ = s.Close()
			require.NoError(t, c.Close())
			for _, g := range links {
				require.NoError(t, g.Close())
			}
		}
	}
}

// TestReconnectIsTheWholeWait verifies that the time of WithReconnect is the
// total for all workers, even if each of them accepts connections and sends
// nothing.
func TestReconnectIsTheWholeWait(t *testing.T) {
	w := workertest.Start(t, quick)
	const limit = 600 * time.Millisecond
	a, b := cutOff(t, w.TCP), cutOff(t, w.GRPC)
	c, err := genie.Open(t.Context(), "tcp://"+a.Addr()+",grpc://"+b.Addr(), genie.WithHeartbeat(beat), genie.WithReconnect(limit))
	require.NoError(t, err)
	a.away(false)
	b.away(false)
	begin := time.Now()
	_, err = c.NewSession(t.Context())
	require.ErrorIs(t, err, genie.ErrUnreachable)
	require.Less(t, time.Since(begin), 5*limit, "the handshake with each may take longer than that")
	require.GreaterOrEqual(t, time.Since(begin), limit)
	close(a.gate)
	close(b.gate)
	require.NoError(t, c.Close())
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}
