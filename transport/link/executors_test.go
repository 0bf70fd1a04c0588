package link_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/conformance"
	"github.com/genie-sdk/go/transport/link"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
)

// start serves a worker at the far end of l until the test ends.
func start(t *testing.T, l *link.Link) (tcpAddr, grpcAddr string) {
	t.Helper()
	e, err := host.Open(engine.Options{Threads: 2})
	require.NoError(t, err)
	s := worker.New(worker.Options{Engine: worker.ForEngine(e)})
	var serving sync.WaitGroup
	listen := func(serve func(net.Listener) error) string {
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		serving.Go(func() { _ = serve(l.Listener(inner)) })
		return inner.Addr().String()
	}
	tcpAddr, grpcAddr = listen(s.Serve), listen(s.ServeGRPC)
	t.Cleanup(func() {
		_ = s.Close()
		serving.Wait()
		require.NoError(t, e.Close())
	})
	return tcpAddr, grpcAddr
}

func lan(t *testing.T) *link.Link {
	t.Helper()
	p, err := link.Parse("10g-400us-j100us")
	require.NoError(t, err)
	return link.New(p, 1)
}

// TestConformance runs the suite of executors over a shaped link.
func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) transport.Executor {
		l := lan(t)
		addr, _ := start(t, l)
		ex, err := tcp.Dial(t.Context(), addr, tcp.WithDialer(l.Dialer(nil)))
		require.NoError(t, err)
		return ex
	}, conformance.Options{Remote: true})
}

// TestRoundTripOfExecutors counts the link's delay in calls over both
// transports, and the link's bytes against the ledger's.
func TestRoundTripOfExecutors(t *testing.T) {
	l := lan(t)
	tcpAddr, grpcAddr := start(t, l)
	for name, dial := range map[string]func() (transport.Executor, error){
		"tcp": func() (transport.Executor, error) {
			return tcp.Dial(t.Context(), tcpAddr, tcp.WithDialer(l.Dialer(nil)))
		},
		"grpc": func() (transport.Executor, error) {
			return rpc.Dial(t.Context(), grpcAddr, rpc.WithDialer(l.Dialer(nil)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, _ := l.Counters()
			begin := time.Now()
			ex, err := dial()
			require.NoError(t, err)
			require.GreaterOrEqual(t, time.Since(begin), 2*l.Profile().RTT, "the connection, then the greeting")
			for range 5 {
				begin = time.Now()
				_, err = ex.Stats(t.Context())
				require.NoError(t, err)
				require.GreaterOrEqual(t, time.Since(begin), l.Profile().RTT)
			}
			require.NoError(t, ex.Close())
			require.Eventually(t, func() bool {
				up, _ := l.Counters()
				return up.Delivered-before.Delivered == ex.Ledger().Snapshot().SocketSent
			}, 5*time.Second, time.Millisecond)
		})
	}
}

// TestClientOverLink opens clients by URL over a link.
func TestClientOverLink(t *testing.T) {
	l := lan(t)
	tcpAddr, grpcAddr := start(t, l)
	for _, url := range []string{"tcp://" + tcpAddr, "grpc://" + grpcAddr} {
		before, _ := l.Counters()
		begin := time.Now()
		c, err := genie.Open(t.Context(), url, genie.WithDialer(l.Dialer(nil)))
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(begin), 2*l.Profile().RTT)
		after, _ := l.Counters()
		require.Equal(t, before.Conns+1, after.Conns)
		require.NoError(t, c.Close())
	}
}
