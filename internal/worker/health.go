package worker

import (
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"

	"github.com/genie-sdk/go/transport/wire/grpcwire"
)

// newHealth is the standard health service of the gRPC port. For the server
// ("") and for the service by name it answers SERVING, and NOT_SERVING once a
// shutdown has begun.
func newHealth() *health.Server {
	h := health.NewServer()
	h.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	h.SetServingStatus(grpcwire.Service, healthpb.HealthCheckResponse_SERVING)
	return h
}

// Ready reports whether the server accepts connections and requests: false once
// a shutdown has begun.
func (s *Server) Ready() bool { return !s.isClosing() }

// tracingOptions are the options that the tracer needs of a gRPC server.
func (s *Server) tracingOptions() []grpc.ServerOption {
	if t, ok := s.opts.Tracer.(interface{ ServerHandler() stats.Handler }); ok {
		return []grpc.ServerOption{grpc.StatsHandler(t.ServerHandler())}
	}
	return nil
}

// counted counts the bytes of a listener's connections. Under TLS the handshake
// does so, see grpcCreds.
func (s *Server) counted(l net.Listener) net.Listener {
	if s.opts.TLS != nil {
		return l
	}
	return countedListener{l, &s.meter.Ledger, s.holdPartial}
}

// countedListener counts the bytes of its gRPC connections.
type countedListener struct {
	net.Listener
	ledger grpcwire.Ledger
	hold   func(more int64) error
}

// Accept implements [net.Listener].
func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return grpcwire.CountServerConn(c, l.ledger, l.hold), nil
}
