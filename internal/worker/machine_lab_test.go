package worker_test

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
)

// lab is a worker in this process with a client that must notice nothing.
type lab struct {
	t      testing.TB
	pipes  *pipes
	server *worker.Server
	engine *engine.Engine
	plans  [][]known
	sent   map[plan.Hash]bool // plans that the worker has

	canary transport.Session
	call   transport.Call
	n      float32

	staged     int64
	stats      transport.Stats
	goroutines int
	lastKey    uint64 // of a session
}

// newLab starts the worker; the returned function ends it.
func newLab(t testing.TB) (*lab, func()) {
	e, err := host.Open(engine.Options{Threads: 1})
	require.NoError(t, err)
	l := &lab{
		t: t, engine: e, pipes: newPipes(), server: worker.New(worker.Options{
			Engine: worker.ForEngine(e), PartialBytes: 1 << 16,
		}),
		plans: machinePlans(4), sent: map[plan.Hash]bool{},
	}
	served := make(chan error, 1)
	go func() { served <- l.server.Serve(l.pipes) }()
	ex, err := tcp.Dial(context.Background(), "canary", tcp.WithDialer(func(context.Context, string) (net.Conn, error) { return l.pipes.dial() }))
	require.NoError(t, err)
	l.canary, err = ex.NewSession(context.Background())
	require.NoError(t, err)
	p, weights := counter()
	p.Name = "canary"
	ref, err := l.canary.Prepare(context.Background(), p, weights, nil)
	require.NoError(t, err)
	l.call = transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 1)}}}
	l.sing(t)
	// The upload releases its buffers after its answer is sent; one page stays,
	// in which the canary's session receives.
	require.Eventually(t, func() bool { return l.server.Staged() == 4096 }, patience, time.Millisecond)
	l.stats, l.staged = e.Stats(), l.server.Staged()
	return l, func() {
		require.NoError(t, ex.Close())
		require.NoError(t, l.server.Close())
		require.NoError(t, <-served)
		require.NoError(t, e.Close())
	}
}

// sing runs the canary once: the same bits whatever others do.
func (l *lab) sing(t testing.TB) {
	if l.n++; l.n > 1<<15 { // beyond which a sum of 201s is not exact
		l.n = 1
		require.NoError(t, l.canary.Reset(context.Background()))
	}
	res, err := l.canary.Run(context.Background(), l.call)
	require.NoError(t, err)
	require.Equal(t, floats(100*l.n, 201*l.n), res.Outputs[0].Tensor.Data, "the canary")
	require.NoError(t, l.canary.Release(context.Background(), res.Outputs[1].Handle))
}

// remember records which plans the worker has; unused ones are dropped when
// memory is reclaimed.
func (l *lab) remember() {
	for _, kind := range l.plans {
		for _, k := range kind {
			_, l.sent[k.hash] = l.engine.Program(k.hash)
		}
	}
}

// settled waits until the worker holds no more than it did before.
func (l *lab) settled(t testing.TB) {
	deadline := time.Now().Add(patience)
	for wait := 10 * time.Microsecond; ; wait = min(2*wait, 10*time.Millisecond) {
		if l.server.Detached() > 0 {
			l.server.Lapse()
		}
		if l.engine.Stats().WeightBytes != l.stats.WeightBytes { // what was uploaded, whole or in part, and is not in use
			l.engine.Memory().Reclaim()
			l.remember()
		}
		// That gives back the canary's page, too.
		st, staged, n := l.engine.Stats(), l.server.Staged(), runtime.NumGoroutine()
		if st.Sessions == l.stats.Sessions && st.StateBytes == l.stats.StateBytes && st.WeightBytes == l.stats.WeightBytes &&
			st.Weights == l.stats.Weights && (staged == l.staged || staged == 0) && n <= l.goroutines {
			return
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			require.Failf(t, "not all came back", "sessions %d (%d), state %d (%d), weights %d (%d), staged %d (%d), goroutines %d (%d)\n%s",
				st.Sessions, l.stats.Sessions, st.StateBytes, l.stats.StateBytes, st.WeightBytes, l.stats.WeightBytes,
				staged, l.staged, n, l.goroutines, stacks[:runtime.Stack(stacks, true)])
		}
		<-time.After(wait) // polled: a fuzzer has no time for an event of each kind of memory
	}
}
