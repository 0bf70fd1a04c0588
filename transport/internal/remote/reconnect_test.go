package remote

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWaits verifies that the waits between attempts grow, up to the cap, and
// are not the same for all.
func TestWaits(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		w, base := waits(), firstWait
		for range 12 {
			d := w.NextBackOff()
			require.GreaterOrEqual(t, d, base/2)
			require.LessOrEqual(t, d, base*3/2+1)
			seen[d] = true
			base = min(2*base, longestGap)
		}
	}
	require.Greater(t, len(seen), 200, "jitter")
}

// TestConnectEnds verifies that connecting is given up in time, on an injected
// clock and on that of the bubble, and at once where another attempt would fail
// too.
func TestConnectEnds(t *testing.T) {
	refused := errors.New("refused")
	executor := func(r Retry, dial func(context.Context) (*Client, error)) *Executor {
		x := &Executor{cfg: Config{Addr: "tcp://w"}.withDefaults(), retry: r, dial: dial}
		x.ctx, x.cancel = context.WithCancel(context.Background())
		return x
	}
	t.Run("time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			x := executor(Retry{Max: 10 * time.Second}, func(context.Context) (*Client, error) { n++; return nil, refused })
			begin := time.Now()
			_, err := x.connect(x.ctx, x.retry.Max)
			require.ErrorIs(t, err, transport.ErrUnreachable)
			require.ErrorIs(t, err, refused)
			require.ErrorContains(t, err, "tcp://w")
			require.Equal(t, 10*time.Second, time.Since(begin))
			require.Greater(t, n, 10)
			require.Less(t, n, 40)
		})
	})
	t.Run("an attempt that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := executor(Retry{Max: 10 * time.Second}, func(ctx context.Context) (*Client, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
			_, err := x.connect(x.ctx, x.retry.Max)
			require.ErrorIs(t, err, transport.ErrUnreachable)
		})
	})
	t.Run("clock", func(t *testing.T) {
		var slept time.Duration
		over := errors.New("over")
		x := executor(Retry{Max: time.Hour, Sleep: func(_ context.Context, d time.Duration) error {
			if slept += d; slept > time.Minute {
				return over
			}
			return nil
		}}, func(context.Context) (*Client, error) { return nil, refused })
		_, err := x.connect(x.ctx, x.retry.Max)
		require.ErrorIs(t, err, transport.ErrUnreachable)
		require.Greater(t, slept, time.Minute)
	})
	t.Run("version", func(t *testing.T) {
		n := 0
		x := executor(Retry{Max: time.Hour}, func(context.Context) (*Client, error) { n++; return nil, transport.ErrVersion })
		_, err := x.connect(x.ctx, x.retry.Max)
		require.ErrorIs(t, err, transport.ErrVersion)
		require.Equal(t, 1, n)
	})
	t.Run("closed", func(t *testing.T) {
		x := executor(Retry{Max: time.Hour}, func(context.Context) (*Client, error) { return nil, refused })
		x.cancel()
		_, err := x.connect(x.ctx, x.retry.Max)
		require.ErrorIs(t, err, transport.ErrClosed)
	})
}
