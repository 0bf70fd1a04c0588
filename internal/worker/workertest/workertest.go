// Package workertest starts real workers on loopback sockets for the tests of
// other packages.
package workertest

import (
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/peers"
	"github.com/genie-sdk/go/internal/worker"
)

// Worker is a server with its own engine.
type Worker struct {
	TCP, GRPC string // addresses
	Server    *worker.Server
	Engine    *engine.Engine

	serving sync.WaitGroup
	once    sync.Once
}

// Close ends the worker now.
func (w *Worker) Close() (err error) {
	w.once.Do(func() {
		err = w.Server.Close()
		w.serving.Wait()
		err = errors.Join(err, w.Engine.Close())
	})
	return err
}

// WithPeers lets the worker send values to workers of this machine.
func WithPeers(t testing.TB, change func(*worker.Options)) func(*worker.Options) {
	t.Helper()
	allow, err := peers.ParseList([]string{"127.0.0.0/8"})
	require.NoError(t, err)
	p := peers.New(peers.Options{Allow: allow})
	t.Cleanup(func() { _ = p.Close() })
	return func(o *worker.Options) {
		o.Peers = p
		if change != nil {
			change(o)
		}
	}
}

// Held is what the worker holds for sessions, by name; all zero without
// sessions.
func (w *Worker) Held() map[string]int64 {
	st := w.Engine.Stats()
	return map[string]int64{"sessions": st.Sessions, "state bytes": st.StateBytes, "staged bytes": w.Server.Staged()}
}

// Start starts a worker that ends with the test. change may be nil.
func Start(t testing.TB, change func(*worker.Options)) *Worker {
	t.Helper()
	return StartEngine(t, engine.Options{Threads: 2}, change)
}

// StartEngine is Start with the given engine options.
func StartEngine(t testing.TB, o engine.Options, change func(*worker.Options)) *Worker {
	t.Helper()
	e, err := host.Open(o)
	require.NoError(t, err)
	opts := worker.Options{Engine: worker.ForEngine(e)}
	if change != nil {
		change(&opts)
	}
	w := &Worker{Server: worker.New(opts), Engine: e}
	listen := func(serve func(net.Listener) error) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		w.serving.Go(func() { _ = serve(l) })
		return l.Addr().String()
	}
	w.TCP = listen(w.Server.Serve)
	w.GRPC = listen(w.Server.ServeGRPC)
	t.Cleanup(func() { _ = w.Close() })
	return w
}
