package worker_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"

	"github.com/genie-sdk/go/internal/access"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// The worker that strangers are let loose on: 16 of them, 12 of one address.
const (
	crowdedConns = 128
	crowd        = 24 // of one attack, more than an address has room for
	addressShare = 12
)

// http2Hello is what an HTTP/2 client says first: the preface and empty settings.
const http2Hello = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// stranger connects, says something and waits until it is sent away.
type stranger func(ctx context.Context, w *workertest.Worker)

// says is a stranger that sends words and then nothing, or a byte now and then.
func says(addr func(*workertest.Worker) string, words string, slowly bool) stranger {
	return func(ctx context.Context, w *workertest.Worker) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr(w))
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		defer context.AfterFunc(ctx, func() { _ = c.Close() })()
		if slowly {
			for i := range len(words) {
				_, _ = io.WriteString(c, words[i:i+1])
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		} else {
			_, _ = io.WriteString(c, words)
		}
		_, _ = io.Copy(io.Discard, c)
	}
}

// channel is a gRPC client without a token.
func channel(w *workertest.Worker) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+w.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(), grpc.WithDisableRetry(), grpc.WithReadBufferSize(4096), grpc.WithWriteBufferSize(4096))
}

// watches asks for health and then waits for it to change.
func watches(ctx context.Context, w *workertest.Worker) {
	cc, err := channel(w)
	if err != nil {
		return
	}
	defer func() { _ = cc.Close() }()
	s, err := healthpb.NewHealthClient(cc).Watch(ctx, &healthpb.HealthCheckRequest{})
	for err == nil {
		_, err = s.Recv()
	}
}

// connects opens streams and says hello on none.
func connects(ctx context.Context, w *workertest.Worker) {
	cc, err := channel(w)
	if err != nil {
		return
	}
	defer func() { _ = cc.Close() }()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := cc.NewStream(ctx, grpcwire.StreamDesc(), grpcwire.Method, grpc.ForceCodecV2(grpcwire.Codec()))
			if err == nil {
				var answer mem.BufferSlice
				_ = s.RecvMsg(&answer)
			}
		})
	}
	all.Wait()
}

func onTCP(w *workertest.Worker) string  { return w.TCP }
func onGRPC(w *workertest.Worker) string { return w.GRPC }

// besiege has strangers come again and again, until the test ends.
func besiege(t *testing.T, w *workertest.Worker, kinds ...stranger) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			for ctx.Err() == nil {
				kinds[i%len(kinds)](ctx, w)
			}
		})
	}
	t.Cleanup(func() { stop(); all.Wait() })
	require.Eventually(t, func() bool { return w.Server.Strangers() >= addressShare-1 }, 20*time.Second, time.Millisecond, "they have come")
}

// TestStrangers has more peers come than there is room for. They send nothing,
// half of something, or all but their identity, and return when they are
// evicted. A client with a token is served over both transports meanwhile, from
// the same address, and a probe is answered.
func TestStrangers(t *testing.T) {
	ca := workertest.NewCA(t)
	client := credentials.Files{CA: ca.File}
	hello := string(frameOf(t, 0, &wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version}}))
	record := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" // a ClientHello that does not end
	for _, tt := range []struct {
		name  string
		tls   bool
		kinds []stranger
	}{
		{"silent", false, []stranger{says(onTCP, "", false)}},
		{"half a hello", false, []stranger{says(onTCP, hello[:len(hello)-3], false)}},
		{"a slow hello", false, []stranger{says(onTCP, hello[:len(hello)-3], true)}},
		{"silent on gRPC", false, []stranger{says(onGRPC, "", false)}},
		{"HTTP/2 without a stream", false, []stranger{says(onGRPC, http2Hello, false)}},
		{"streams without a hello", false, []stranger{connects}},
		{"health watches", false, []stranger{watches}},
		{"silent in TLS", true, []stranger{says(onTCP, "", false), says(onGRPC, "", false)}},
		{"half a TLS handshake", true, []stranger{says(onTCP, record, false), says(onGRPC, record, true)}},
		{"all together", false, []stranger{
			says(onTCP, "", false), says(onTCP, hello[:20], true), says(onGRPC, http2Hello, false), watches, connects,
			says(onGRPC, "", false), says(onTCP, record, false),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, alice, _ := guarded(t, func(o *worker.Options) {
				o.MaxConns = crowdedConns
				if tt.tls {
					files := ca.Issue("worker of "+filepath.Base(t.Name()), nil)
					files.CA = ""
					var err error
					o.TLS, err = files.Server()
					require.NoError(t, err)
				}
			})
			besiege(t, w, tt.kinds...)
			given := credentials.Client{Token: alice}
			if tt.tls {
				given.Files = &client
			}
			for way, dial := range patiently {
				ex, err := dial(t.Context(), w, given)
				require.NoError(t, err, way)
				runs(t, ex)
				require.NoError(t, ex.Close())
				require.LessOrEqual(t, w.Server.Strangers(), addressShare)
			}
			if !tt.tls {
				probe(t, w)
			}
		})
	}
}

// hurry is shorter than the time of a stranger that is not evicted: waiting
// until strangers time out does not count as getting in.
const hurry = wire.HandshakeTimeout * 3 / 4

// patiently dials as a client does that recovers: on a machine that is busy with
// much else a handshake may take longer than a stranger has in a crowd.
var patiently = map[string]func(ctx context.Context, w *workertest.Worker, c credentials.Client) (transport.Executor, error){
	"tcp": func(ctx context.Context, w *workertest.Worker, c credentials.Client) (transport.Executor, error) {
		return tcp.Dial(ctx, w.TCP, tcp.WithCredentials(c), tcp.WithReconnect(hurry))
	},
	"grpc": func(ctx context.Context, w *workertest.Worker, c credentials.Client) (transport.Executor, error) {
		return rpc.Dial(ctx, w.GRPC, rpc.WithCredentials(c), rpc.WithReconnect(hurry))
	},
}

// probe asks for health until it is told to stop, as an orchestrator does.
func probe(t *testing.T, w *workertest.Worker) {
	t.Helper()
	cc, err := channel(w)
	require.NoError(t, err)
	defer func() { _ = cc.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var answer *healthpb.HealthCheckResponse
	for answer == nil && ctx.Err() == nil {
		answer, err = healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	}
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, answer.GetStatus())
}

// TestStrangersTime verifies that a gRPC connection has no longer than a
// handshake to authenticate, whatever else it does meanwhile, and that an
// authenticated one stays.
func TestStrangersTime(t *testing.T) {
	const limit = 200 * time.Millisecond
	w := workertest.Start(t, func(o *worker.Options) { worker.SetHandshake(o, limit) })
	known, err := channel(w)
	require.NoError(t, err)
	defer func() { _ = known.Close() }()
	stream, err := known.NewStream(t.Context(), grpcwire.StreamDesc(), grpcwire.Method, grpc.ForceCodecV2(grpcwire.Codec()))
	require.NoError(t, err)
	hello := frameOf(t, 0, &wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version}})
	require.NoError(t, stream.SendMsg(mem.BufferSlice{mem.SliceBuffer(hello)}))
	var answer mem.BufferSlice
	require.NoError(t, stream.RecvMsg(&answer))
	watch, err := healthpb.NewHealthClient(known).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	_, err = watch.Recv()
	require.NoError(t, err)
	for name, come := range map[string]stranger{
		"watch": watches, "streams": connects, "silent": says(onGRPC, http2Hello, false), "slow": says(onGRPC, http2Hello, true), "half": says(onGRPC, http2Hello[:9], false),
	} {
		begin := time.Now()
		come(t.Context(), w)
		require.GreaterOrEqual(t, time.Since(begin), limit/2, name)
		require.Less(t, time.Since(begin), 20*limit, name)
	}
	stats := frameOf(t, 1, &wire.Message{Type: wire.TypeStats, Stream: 1})
	require.NoError(t, stream.SendMsg(mem.BufferSlice{mem.SliceBuffer(stats)}))
	require.NoError(t, stream.RecvMsg(&answer), "it is long past the time")
	require.NoError(t, stream.CloseSend())
	_, err = watch.Recv()
	require.Error(t, err, "with its last stream gone it is a stranger's again")
	require.Eventually(t, func() bool { return w.Server.Strangers() == 0 }, 10*time.Second, time.Millisecond)
}

// TestUngreetedBytes sends more than a hello takes: a message of gRPC that does not
// end, on a stream or on many.
func TestUngreetedBytes(t *testing.T) {
	w := workertest.Start(t, nil)
	for _, streams := range []int{1, 8} {
		cc, err := channel(w)
		require.NoError(t, err)
		var sending sync.WaitGroup
		for range streams {
			s, err := cc.NewStream(t.Context(), grpcwire.StreamDesc(), grpcwire.Method, grpc.ForceCodecV2(grpcwire.Codec()))
			require.NoError(t, err)
			sending.Go(func() {
				_ = s.SendMsg(mem.BufferSlice{mem.SliceBuffer(make([]byte, 2*worker.MaxUngreeted))})
				var answer mem.BufferSlice
				if err := s.RecvMsg(&answer); err == nil {
					t.Error("it is answered")
				}
			})
		}
		sending.Wait()
		require.Eventually(t, func() bool { return w.Server.Strangers() == 0 }, 10*time.Second, time.Millisecond, "long before its time is over")
		require.NoError(t, cc.Close())
	}
	ex, err := dialers["grpc"](t.Context(), w, nil)
	require.NoError(t, err)
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	ref, err := s.Prepare(t.Context(), growing(1, false, plan.Download), nil, nil)
	require.NoError(t, err)
	const n = worker.MaxUngreeted
	_, err = s.Run(t.Context(), transport.Call{Plan: ref, Bindings: []int{0, n}, Inputs: []transport.Input{{Data: make([]byte, 4*n)}}})
	require.NoError(t, err, "whoever is known sends more")
	require.NoError(t, ex.Close())
}

// TestGreetingLimit opens a second stream of a connection before the first has
// said hello.
func TestGreetingLimit(t *testing.T) {
	w := workertest.Start(t, nil)
	cc, err := channel(w)
	require.NoError(t, err)
	defer func() { _ = cc.Close() }()
	var streams []grpc.ClientStream
	ends := make(chan error, 2)
	for range 2 {
		s, err := cc.NewStream(t.Context(), grpcwire.StreamDesc(), grpcwire.Method, grpc.ForceCodecV2(grpcwire.Codec()))
		require.NoError(t, err)
		streams = append(streams, s)
		go func() {
			var answer mem.BufferSlice
			ends <- s.RecvMsg(&answer)
		}()
	}
	require.ErrorContains(t, <-ends, "has yet to say hello")
	for _, s := range streams {
		_ = s.SendMsg(mem.BufferSlice{mem.SliceBuffer(frameOf(t, 0, &wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version}}))})
	}
	require.NoError(t, <-ends, "the other is answered")
}

// TestIdentityPart has one identity open all the connections that it gets: half of
// those that the others leave. Another one comes in, and a third with its quota.
func TestIdentityPart(t *testing.T) {
	const conns = 16
	alice, first, err := access.NewToken("alice")
	require.NoError(t, err)
	mallory, second, err := access.NewToken("mallory")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(path, []byte(first+"\n"+second+"\n"), 0o600))
	tokens, err := access.Open(path, slog.New(slog.DiscardHandler), access.NewLimiter(nil))
	require.NoError(t, err)
	for quota, most := range map[int64]int{0: conns / 2, 3: 3, 12: 12} {
		w := workertest.Start(t, func(o *worker.Options) {
			o.Auth, o.MaxConns = tokens, conns
			o.Quota = func(identity string) worker.Quota {
				if identity == "mallory" {
					return worker.Quota{Connections: quota}
				}
				return worker.Quota{}
			}
		})
		for i := range most + 3 {
			way := []string{"tcp", "grpc"}[i%2]
			ex, err := securely[way](t.Context(), w, credentials.Client{Token: mallory})
			if i < most {
				require.NoError(t, err, "%s %d of %d", way, i, most)
				defer func() { _ = ex.Close() }()
				continue
			}
			require.ErrorIs(t, err, transport.ErrQuota, way)
			require.ErrorContains(t, err, "connections")
		}
		for way, dial := range securely {
			ex, err := dial(t.Context(), w, credentials.Client{Token: alice})
			require.NoError(t, err, way)
			runs(t, ex)
			require.NoError(t, ex.Close())
		}
	}
}
