package worker

import (
	"math"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
)

// newHealth is the standard health service of the gRPC port. For the server
// ("") and for the service by name it answers SERVING, and NOT_SERVING while
// the device is lost and once a shutdown has begun.
func newHealth() *health.Server {
	h := health.NewServer()
	serves(h, healthpb.HealthCheckResponse_SERVING)
	return h
}

func serves(h *health.Server, status healthpb.HealthCheckResponse_ServingStatus) {
	h.SetServingStatus("", status)
	h.SetServingStatus(grpcwire.Service, status)
}

// Ready reports whether the server accepts connections and requests, and has a
// device for them: false while the device is lost and once a shutdown has
// begun.
func (s *Server) Ready() bool { return !s.isClosing() && s.DeviceReady() == nil }

// DeviceReady is nil while the device is open.
func (s *Server) DeviceReady() error {
	_, err := s.opts.Engine.Ready()
	return err
}

// Alive is nil unless the device has been given up: only a new process can
// serve then.
func (s *Server) Alive() error {
	if givenUp, err := s.opts.Engine.Ready(); givenUp {
		return err
	}
	return nil
}

// deviceChanged handles a loss of the device, and what follows it. Sessions of
// the lost device end by themselves: each of their requests fails.
func (s *Server) deviceChanged(state engine.DeviceState, err error) {
	switch state {
	case engine.DeviceLost:
		s.meter.DeviceLosses.Add(1)
		s.opts.Log.Error("the device is lost, with all sessions, plans and weights; it is opened anew", "error", err)
		serves(s.health, healthpb.HealthCheckResponse_NOT_SERVING)
		s.partials.Reclaim(math.MaxInt64)
	case engine.DeviceOpen:
		s.opts.Log.Info("the device is open again")
		serves(s.health, healthpb.HealthCheckResponse_SERVING)
	case engine.DeviceGivenUp:
		s.opts.Log.Error("the device is given up; the worker refuses sessions", "error", err)
	}
}

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
