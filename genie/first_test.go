package genie_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/fault"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport/credentials"
)

// cutFirst is a proxy that does what to one piece of the first connections, and
// passes what comes after them.
func cutFirst(t *testing.T, target string, first, piece int, toWorker bool, what fault.Action) (p *fault.Proxy, conns *atomic.Int64) {
	t.Helper()
	conns = &atomic.Int64{}
	p, err := fault.Start(target, fault.Options{
		Accept: func(int) { conns.Add(1) },
		Decide: func(p fault.Piece) fault.Verdict {
			if p.Conn >= first || p.ToWorker != toWorker || p.Number != piece {
				return fault.Verdict{}
			}
			return fault.Verdict{Action: what}
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p, conns
}

// TestFirstConnection cuts the first connections of a client in their handshake:
// in that of TCP's frames, of HTTP/2, of TLS, before and after hello. Opening
// succeeds all the same, each time, and what it opens works.
func TestFirstConnection(t *testing.T) {
	ca := workertest.NewCA(t)
	plain := workertest.Start(t, quick)
	files := ca.Issue("worker", nil)
	files.CA = ""
	secure := workertest.Start(t, func(o *worker.Options) {
		quick(o)
		var err error
		o.TLS, err = files.Server()
		require.NoError(t, err)
	})
	runs := 0
	for _, tt := range []struct {
		scheme, target string
		opts           []genie.Option
		pieces         int // in each direction, at least, until the worker has said hello
	}{
		{"tcp", plain.TCP, nil, 1},
		{"grpc", plain.GRPC, nil, 2},
		{"tcp", secure.TCP, []genie.Option{genie.WithTLSFiles(credentials.Files{CA: ca.File})}, 2},
		{"grpc", secure.GRPC, []genie.Option{genie.WithTLSFiles(credentials.Files{CA: ca.File})}, 3},
	} {
		for piece := range tt.pieces {
			for _, toWorker := range []bool{true, false} {
				for _, what := range []fault.Action{fault.Cut, fault.Truncate} {
					for _, first := range []int{1, 3} {
						runs++
						name := fmt.Sprintf("%s of %d connections, piece %d to the worker %v, %v", tt.scheme, first, piece, toWorker, what)
						p, conns := cutFirst(t, tt.target, first, piece, toWorker, what)
						c, err := genie.Open(t.Context(), tt.scheme+"://"+p.Addr(), tt.opts...)
						require.NoError(t, err, name)
						s, err := c.NewSession(t.Context())
						require.NoError(t, err, name)
						_, err = s.Run(t.Context(), genie.Feed{"x": genie.Float32s([]float32{1, 2}, 1, 2)}, rnn())
						require.NoError(t, err, name)
						require.GreaterOrEqual(t, conns.Load(), int64(2), name)
						require.NoError(t, s.Close())
						require.NoError(t, c.Close())
					}
				}
			}
		}
	}
	require.GreaterOrEqual(t, runs, 60)
}

// TestFirstConnectionEnds holds when opening is not tried again, and that trying
// ends in time.
func TestFirstConnectionEnds(t *testing.T) {
	w := workertest.Start(t, func(o *worker.Options) { quick(o); o.Auth = nobody{} })
	always := 1 << 30
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, refused.Close())
	for _, scheme := range []string{"tcp", "grpc"} {
		target, other := w.TCP, w.GRPC
		if scheme == "grpc" {
			target, other = w.GRPC, w.TCP
		}
		open := func(ctx context.Context, addr string, opts ...genie.Option) (time.Duration, error) {
			begin := time.Now()
			c, err := genie.Open(ctx, scheme+"://"+addr, opts...)
			if err == nil {
				_ = c.Close()
			}
			return time.Since(begin), err
		}
		t.Run(scheme, func(t *testing.T) {
			p, conns := cutFirst(t, target, 0, 0, true, fault.Pass)
			_, err := open(t.Context(), p.Addr(), genie.WithToken("guess"))
			require.ErrorIs(t, err, genie.ErrUnauthenticated)
			require.EqualValues(t, 1, conns.Load(), "a token that is wrong stays so")

			_, err = open(t.Context(), p.Addr(), genie.WithTokenFile("/nowhere/token"))
			require.Error(t, err)

			p, conns = cutFirst(t, other, 0, 0, true, fault.Pass)
			_, err = open(t.Context(), p.Addr())
			require.ErrorIs(t, err, genie.ErrProtocol)
			require.EqualValues(t, 1, conns.Load(), "and so does another protocol")

			took, err := open(t.Context(), refused.Addr().String())
			require.ErrorIs(t, err, genie.ErrUnreachable)
			require.Less(t, took, 5*time.Second, "no server is there")

			p, conns = cutFirst(t, target, always, 0, true, fault.Cut)
			_, err = open(t.Context(), p.Addr(), genie.WithRecovery(false))
			require.ErrorIs(t, err, genie.ErrUnreachable)
			require.EqualValues(t, 1, conns.Load(), "recovery is off")

			took, err = open(t.Context(), p.Addr(), genie.WithReconnect(1500*time.Millisecond))
			require.ErrorIs(t, err, genie.ErrUnreachable)
			require.ErrorContains(t, err, p.Addr())
			require.ErrorContains(t, err, "tried for")
			require.Greater(t, conns.Load(), int64(3))
			require.GreaterOrEqual(t, took, 1400*time.Millisecond)
			require.Less(t, took, 15*time.Second)

			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			took, err = open(ctx, p.Addr(), genie.WithReconnect(time.Hour))
			require.ErrorIs(t, err, genie.ErrUnreachable)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Less(t, took, 10*time.Second, "the caller's time is over")
		})
	}
}

// TestManyExecutors lists as many executors as one client has, and one more.
func TestManyExecutors(t *testing.T) {
	w := workertest.Start(t, quick)
	list := make([]string, 65)
	for i := range list {
		list[i] = "tcp://" + w.TCP
	}
	c, err := genie.Open(t.Context(), strings.Join(list[:64], ","))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	_, err = genie.Open(t.Context(), strings.Join(list, ","))
	require.ErrorIs(t, err, genie.ErrURL)
	require.ErrorContains(t, err, "at most 64")
}

// nobody accepts no token.
type nobody struct{}

func (nobody) Authenticate(string, []byte) (string, error) { return "", genie.ErrUnauthenticated }
