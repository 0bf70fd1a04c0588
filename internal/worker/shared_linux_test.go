package worker_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/fault"
	"github.com/genie-sdk/go/internal/shared"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// doubled is the sum of an input of n numbers with itself.
func doubled(n int) *plan.Plan {
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(n)}}
	return &plan.Plan{
		Version: plan.Version, Name: "doubled", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "y", Spec: spec, Buffer: 0},
		},
		Steps:   []plan.Step{{Op: "add", In: []int{0, 0}, Out: 1}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 1, Place: plan.Download, Cause: plan.CauseLogits}},
	}
}

// echoBytes is the payload of an echo: it ends in the middle of a frame.
const echoBytes = 3<<20 + 4

// echoes runs an echo and returns what went through shared memory. The ledger must
// say the same whichever way the bytes went.
func echoes(t *testing.T, ex transport.Executor) (sent, received int64) {
	t.Helper()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	ref, err := s.Prepare(t.Context(), doubled(echoBytes/4), nil, nil)
	require.NoError(t, err)
	x, y := make([]float32, echoBytes/4), make([]float32, echoBytes/4)
	for i := range x {
		x[i] = float32(i % 1001)
		y[i] = 2 * x[i]
	}
	before := ex.Ledger().Snapshot()
	res, err := s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(x...), Cause: plan.CauseToken}}})
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(floats(y...)), sha256.Sum256(res.Outputs[0].Tensor.Data))
	got := ex.Ledger().Snapshot().Sub(before)
	require.EqualValues(t, echoBytes, got.Sent[plan.CauseToken])
	require.EqualValues(t, echoBytes, got.Received[plan.CauseLogits])
	require.NoError(t, s.Close())
	return got.SharedSent, got.SharedReceived
}

// mapped is how often this process maps shared memory.
func mapped(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return strings.Count(string(maps), "/memfd:genie")
}

// TestSharedMemory: a client and a worker of one user on one machine share memory,
// whatever else the connection has, unless one of them does not want to.
func TestSharedMemory(t *testing.T) {
	ca := workertest.NewCA(t)
	plain := func(t *testing.T) *workertest.Worker { return workertest.Start(t, nil) }
	for name, c := range map[string]struct {
		start  func(t *testing.T) *workertest.Worker
		tcp    []tcp.Option
		rpc    []rpc.Option
		shares bool
	}{
		"plain": {start: plain, shares: true},
		"TLS with certificates": {
			start: func(t *testing.T) *workertest.Worker { return encrypted(t, ca, true, nil) },
			tcp:   []tcp.Option{tcp.WithCredentials(mine(t, ca))}, rpc: []rpc.Option{rpc.WithCredentials(mine(t, ca))}, shares: true,
		},
		"client does not want to": {start: plain, tcp: []tcp.Option{tcp.WithoutSharedMemory()}, rpc: []rpc.Option{rpc.WithoutSharedMemory()}},
		"worker does not want to": {start: func(t *testing.T) *workertest.Worker {
			return workertest.Start(t, func(o *worker.Options) { o.NoSharedMemory = true })
		}},
		"memory is scarce": {start: func(t *testing.T) *workertest.Worker {
			return workertest.StartEngine(t, engine.Options{Threads: 1, MemLimit: 1 << 30}, nil)
		}},
		"small quota": {start: func(t *testing.T) *workertest.Worker {
			return workertest.Start(t, func(o *worker.Options) {
				o.Quota = func(string) worker.Quota { return worker.Quota{Bytes: 128 << 20} }
			})
		}},
		"large quota": {start: func(t *testing.T) *workertest.Worker {
			return workertest.Start(t, func(o *worker.Options) {
				o.Quota = func(string) worker.Quota { return worker.Quota{Bytes: 1 << 30} }
			})
		}, shares: true},
		"a dialler of one's own": {
			start: plain,
			tcp:   []tcp.Option{tcp.WithDialer(wrapped)}, rpc: []rpc.Option{rpc.WithDialer(wrapped)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.start(t)
			for way, dial := range map[string]func() (transport.Executor, error){
				"tcp":  func() (transport.Executor, error) { return tcp.Dial(t.Context(), w.TCP, c.tcp...) },
				"grpc": func() (transport.Executor, error) { return rpc.Dial(t.Context(), w.GRPC, c.rpc...) },
			} {
				ex, err := dial()
				require.NoError(t, err)
				sent, received := echoes(t, ex)
				if c.shares {
					require.EqualValues(t, echoBytes-4, sent, way) // the last frame is small
					require.EqualValues(t, echoBytes-4, received, way)
				} else {
					require.Zero(t, sent+received, way)
				}
				require.NoError(t, ex.Close())
			}
			require.NoError(t, w.Close())
			require.Zero(t, mapped(t))
		})
	}
}

// mine is a client's certificate.
func mine(t *testing.T, ca *workertest.CA) credentials.Client {
	t.Helper()
	f := ca.Issue("client", nil)
	return credentials.Client{Files: &f}
}

// wrapped dials a connection that is not the system's own, as a shaped link is.
func wrapped(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{c}, nil
}

// TestSharedMemoryThroughAProxy: what a proxy shapes or counts stays on the socket.
func TestSharedMemoryThroughAProxy(t *testing.T) {
	w := workertest.Start(t, nil)
	p, err := fault.Start(w.TCP, fault.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	ex, err := tcp.Dial(t.Context(), p.Addr())
	require.NoError(t, err)
	sent, received := echoes(t, ex)
	require.Zero(t, sent+received)
	require.NoError(t, ex.Close())
}

// TestSharedMemoryIsCharged: the memory counts as the connection's, and is free
// when that ends.
func TestSharedMemoryIsCharged(t *testing.T) {
	used := func(w *workertest.Worker) int64 { return w.Engine.Stats().BufferBytes }
	w := workertest.StartEngine(t, engine.Options{Threads: 1, MemLimit: 64 << 30}, func(o *worker.Options) {
		o.Quota = func(string) worker.Quota { return worker.Quota{Bytes: 16 << 30} }
	})
	before := used(w)
	plain, err := tcp.Dial(t.Context(), w.TCP, tcp.WithoutSharedMemory())
	require.NoError(t, err)
	connection := used(w) - before
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	require.Equal(t, 2*connection+shared.Size(shared.DefaultRing), used(w)-before)
	require.NoError(t, ex.Close())
	require.NoError(t, plain.Close())
	require.NoError(t, w.Server.Close()) // waits for the ends of connections
	require.Equal(t, before, used(w))
	require.Zero(t, mapped(t))
}

// TestHostileOffers says hello with offers of memory that is not there: the worker
// connects to nothing but an offer, waits for none, and serves the connection.
func TestHostileOffers(t *testing.T) {
	w := workertest.Start(t, nil)
	for name, change := range map[string]func(p *peer, h *wirepb.Hello){
		"no such offer":      func(*peer, *wirepb.Hello) {},
		"another socket":     func(_ *peer, h *wirepb.Hello) { h.MemorySocket = "somebody" },
		"a path":             func(_ *peer, h *wirepb.Hello) { h.MemorySocket = "/var/run/docker.sock" },
		"a long name":        func(_ *peer, h *wirepb.Hello) { h.MemorySocket = strings.Repeat("x", 7<<10) },
		"of another address": func(_ *peer, h *wirepb.Hello) { h.MemoryFrom = "127.0.0.1:1" },
		"of no address":      func(_ *peer, h *wirepb.Hello) { h.MemoryFrom = "" },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, w)
			hello := &wirepb.Hello{
				Version: wire.Version, MemoryFrom: p.conn.LocalAddr().String(),
				MemorySocket: "genie-memory-" + strings.Repeat("0", 32), MemoryProof: make([]byte, 32),
			}
			change(p, hello)
			p.send(&wire.Message{Type: wire.TypeHello, Control: hello})
			h, control := p.next()
			require.Equal(t, wire.TypeHello, h.Type)
			var answer wirepb.Hello
			require.NoError(t, proto.Unmarshal(control, &answer))
			require.Empty(t, answer.GetMemoryProof())
			p.session()
			p.works()
		})
	}
	require.Zero(t, mapped(t))
}

// TestSilentOffer offers memory and then says nothing: the worker gives the offer
// up and serves the connection.
func TestSilentOffer(t *testing.T) {
	w := workertest.Start(t, nil)
	name := fmt.Sprintf("genie-memory-%032x", os.Getpid())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@" + name})
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	p := newPeer(t, w)
	p.send(&wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{
		Version: wire.Version, MemoryFrom: p.conn.LocalAddr().String(), MemorySocket: name,
	}})
	begun := time.Now()
	h, _ := p.next()
	require.Equal(t, wire.TypeHello, h.Type)
	require.GreaterOrEqual(t, time.Since(begun), shared.HandOver/2)
	p.session()
	p.works()
}

// TestForgedSharedFrame announces a payload in memory that the connection does not
// share: the connection ends, and nobody else's does.
func TestForgedSharedFrame(t *testing.T) {
	w := workertest.Start(t, nil)
	other := newBystander(t, w)
	p := greeted(t, w)
	p.session()
	p.send(&wire.Message{Type: wire.TypeRun, Flags: wire.FlagShared, Stream: 99, Control: &wirepb.Run{Session: 1, Plan: 1}})
	p.ended(transport.ErrProtocol)
	other.check()
}

// TestWorkerEndsUnderSharedMemory closes a worker while large inputs are on their
// way: every call ends with an error or a result, and the memory is free.
func TestWorkerEndsUnderSharedMemory(t *testing.T) {
	w := workertest.Start(t, nil)
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	ref, err := s.Prepare(t.Context(), doubled(8<<20), nil, nil)
	require.NoError(t, err)
	call := transport.Call{Plan: ref, Inputs: []transport.Input{{Data: make([]byte, 32<<20)}}}
	_, err = s.Run(t.Context(), call)
	require.NoError(t, err)
	ended := make(chan error)
	go func() {
		for {
			if _, err := s.Run(context.Background(), call); err != nil {
				ended <- err
				return
			}
		}
	}()
	require.NoError(t, w.Close())
	require.Error(t, <-ended)
	require.NoError(t, ex.Close())
	require.Zero(t, mapped(t))
}
