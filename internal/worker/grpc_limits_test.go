package worker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// TestGRPCLimits goes to the limits of what gRPC itself takes, and beyond.
func TestGRPCLimits(t *testing.T) {
	w := workertest.Start(t, nil)
	dial := func() *grpc.ClientConn {
		cc, err := grpc.NewClient("passthrough:///"+w.GRPC,
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDisableRetry(),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(grpcwire.Codec())))
		require.NoError(t, err)
		t.Cleanup(func() { _ = cc.Close() })
		return cc
	}
	hello := frameOf(t, 0, &wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version}})
	open := func(ctx context.Context, cc *grpc.ClientConn) (grpc.ClientStream, error) {
		stream, err := cc.NewStream(ctx, grpcwire.StreamDesc(), grpcwire.Method)
		if err != nil {
			return nil, err
		}
		if err := stream.SendMsg(mem.BufferSlice{mem.SliceBuffer(hello)}); err != nil {
			return nil, err
		}
		var answer mem.BufferSlice
		return stream, stream.RecvMsg(&answer)
	}
	t.Run("header fields", func(t *testing.T) {
		cc := dial()
		_, err := open(metadata.AppendToOutgoingContext(t.Context(), "x", strings.Repeat("x", worker.MaxHeaderList/2)), cc)
		require.NoError(t, err)
		_, err = open(metadata.AppendToOutgoingContext(t.Context(), "x", strings.Repeat("x", worker.MaxHeaderList+1)), cc)
		require.Error(t, err)
	})
	t.Run("streams", func(t *testing.T) {
		cc := dial()
		first, end := context.WithCancel(t.Context())
		defer end()
		_, err := open(first, cc)
		require.NoError(t, err)
		for range worker.MaxGRPCStreams - 1 {
			_, err := open(t.Context(), cc)
			require.NoError(t, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = open(ctx, cc)
		require.Equal(t, codes.DeadlineExceeded, status.Code(err), "it waits for another to end: %v", err)
		end()
		_, err = open(t.Context(), cc)
		require.NoError(t, err)
	})
	t.Run("message", func(t *testing.T) {
		send := func(n int) error {
			stream, err := open(t.Context(), dial())
			require.NoError(t, err)
			frame := frameOf(t, 1, &wire.Message{Type: wire.TypeStats, Stream: 1})
			require.NoError(t, stream.SendMsg(mem.BufferSlice{mem.SliceBuffer(append(frame, make([]byte, n-len(frame))...))}))
			var answer mem.BufferSlice
			return stream.RecvMsg(&answer)
		}
		require.NoError(t, send(grpcwire.MaxMessage), "the frame at its beginning is answered")
		require.Equal(t, codes.ResourceExhausted, status.Code(send(grpcwire.MaxMessage+1)))
	})
}

// TestCompressedMessages ends a connection that sends a compressed message,
// whose size in memory is not known in advance, and no other.
func TestCompressedMessages(t *testing.T) {
	w := workertest.Start(t, nil)
	watch := newBystander(t, w)
	cc, err := grpc.NewClient("passthrough:///"+w.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	require.NoError(t, err)
	defer func() { _ = cc.Close() }()
	_, err = healthpb.NewHealthClient(cc).Check(t.Context(), &healthpb.HealthCheckRequest{Service: strings.Repeat("x", 10000)})
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	watch.check()
}
