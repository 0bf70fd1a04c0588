package worker

import (
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/connlimit"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
)

// grpcBuffer is the size of gRPC's read and write buffers on a connection, where
// memory is not limited.
const (
	grpcBuffer      = 256 << 10
	leastGRPCBuffer = 32 << 10
	leastGRPCWindow = 64 << 10 // the minimum of gRPC
)

// grpcSizes are the flow control window and the buffers of a gRPC connection:
// small enough for many connections if memory is limited.
func (s *Server) grpcSizes() (window, buffer int) {
	limit := int(s.opts.Engine.Memory().Limit())
	if limit == 0 {
		return grpcwire.Window, grpcBuffer
	}
	return min(max(limit/2048, leastGRPCWindow), grpcwire.Window), min(max(limit/8192, leastGRPCBuffer), grpcBuffer)
}

// holdPartial takes memory for incomplete gRPC messages.
func (s *Server) holdPartial(more int64) error {
	if more < 0 {
		s.opts.Engine.Memory().Release(budget.Buffers, -more)
		return nil
	}
	return s.opts.Engine.Memory().Reserve(budget.Buffers, more, "messages in transit")
}

// Limits of what gRPC accepts before this package sees it.
const (
	maxHeaderList  = 16 << 10 // bytes of HTTP/2 header fields of a stream
	maxGRPCStreams = 16       // streams of a connection; a client uses one
)

// ServeGRPC accepts gRPC connections from l until the server is shut down,
// which it reports as nil. It closes l.
func (s *Server) ServeGRPC(l net.Listener) error {
	window, buffer := s.grpcSizes()
	g := grpc.NewServer(append([]grpc.ServerOption{
		grpc.Creds(s.creds()), grpc.MaxHeaderListSize(maxHeaderList),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: s.opts.handshake}),
		grpc.ForceServerCodecV2(grpcwire.Codec()),
		grpc.MaxRecvMsgSize(grpcwire.MaxMessage), grpc.MaxSendMsgSize(grpcwire.MaxMessage),
		grpc.StaticStreamWindowSize(int32(window)), grpc.StaticConnWindowSize(int32(window)),
		grpc.WriteBufferSize(buffer), grpc.ReadBufferSize(buffer),
		grpc.ConnectionTimeout(s.opts.handshake), grpc.MaxConcurrentStreams(maxGRPCStreams),
	}, s.tracingOptions()...)...)
	s.Register(g)
	healthpb.RegisterHealthServer(g, s.health)
	if err := s.servesGRPC(g); err != nil {
		_ = l.Close()
		return err
	}
	// gRPC itself limits neither the connections nor their time.
	err := g.Serve(s.door.Listener(grpcwire.WatchListener(s.counted(l)), true, s.refused))
	s.mu.Lock()
	delete(s.grpc, g)
	s.mu.Unlock()
	return err
}

// servesGRPC registers a gRPC server, which a shutdown stops.
func (s *Server) servesGRPC(g *grpc.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return fmt.Errorf("%w: worker", transport.ErrClosed)
	}
	s.grpc[g] = struct{}{}
	return nil
}

// Register adds the service to a gRPC server that was made with
// [grpcwire.Codec] as its codec.
func (s *Server) Register(g grpc.ServiceRegistrar) {
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: grpcwire.Service,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "Connect", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return s.connect(stream) },
		}},
	}, s)
}

// connect serves one stream. When it returns, gRPC ends the stream, which ends
// the connection's receiving goroutine.
func (s *Server) connect(stream grpc.ServerStream) error {
	addr, who := "unknown", subject{}
	var guest *connlimit.Guest
	ended := make(chan struct{})
	pipe := grpcwire.New(stream, func() error { close(ended); return nil })
	if p, ok := peer.FromContext(stream.Context()); ok {
		addr = p.Addr.String()
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			who = subjectOf(info.State)
		}
		var own net.Addr
		guest, own = connlimit.GuestOf(p.Addr)
		pipe = grpcwire.Watched(pipe, grpcwire.LifeOf(own))
	}
	alone := guest == nil // a listener of another server: only the stream is known
	if alone {
		var err error
		if guest, err = s.door.Enter(addr, func() { _ = pipe.Close() }, false); err != nil {
			s.refused(addr, err)
			return status.Error(codes.Unavailable, err.Error())
		}
	}
	c, err := s.newConn(pipe, addr, guest)
	if err != nil {
		s.refused(addr, err)
		if alone {
			guest.Gone()
		}
		return status.Error(codes.Unavailable, err.Error())
	}
	c.subject, c.alone = who, alone
	window, buffer := s.grpcSizes()
	c.cost += int64(window + 2*buffer + wire.ChunkSize + wire.MaxControl)
	go c.serve()
	<-ended
	return nil
}
