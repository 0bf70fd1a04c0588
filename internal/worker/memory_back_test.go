package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/tcp"
)

// TestMemoryComesBack asks again, where recovery is on, a worker that lacks memory
// for the weights of a plan while another client has it.
func TestMemoryComesBack(t *testing.T) {
	const size = 6 * mib
	w := workertest.StartEngine(t, engine.Options{Threads: 2, MemLimit: 10 * mib}, nil)
	prepare := func(fill float32, size int, opts ...tcp.Option) (transport.Session, error) {
		ex, err := tcp.Dial(t.Context(), w.TCP, opts...)
		require.NoError(t, err)
		t.Cleanup(func() { _ = ex.Close() })
		s, err := ex.NewSession(t.Context())
		require.NoError(t, err)
		p, weights := bulk(fill, size)
		_, err = s.Prepare(t.Context(), p, weights, nil)
		return s, err
	}
	held, err := prepare(1, size)
	require.NoError(t, err)
	_, err = prepare(2, size)
	require.ErrorIs(t, err, transport.ErrMemory, "without recovery it is told at once")
	recovery := tcp.WithReconnect(10 * time.Second)
	begin := time.Now()
	_, err = prepare(3, 12*mib, recovery)
	require.ErrorIs(t, err, transport.ErrMemory)
	require.Less(t, time.Since(begin), 5*time.Second, "what never fits is told at once, too")
	done := make(chan error, 1)
	go func() {
		ex, err := tcp.Dial(t.Context(), w.TCP, recovery)
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = ex.Close() }()
		s, err := ex.NewSession(t.Context())
		if err == nil {
			p, weights := bulk(2, size)
			_, err = s.Prepare(t.Context(), p, weights, nil)
		}
		done <- err
	}()
	require.Never(t, func() bool { return len(done) > 0 }, 300*time.Millisecond, 10*time.Millisecond, "it waits")
	require.NoError(t, held.Close())
	require.NoError(t, <-done)
}
