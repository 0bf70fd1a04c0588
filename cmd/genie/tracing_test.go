package main

import (
	"context"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// spans is a collector that stores what it receives: names by trace and
// service.
type spans struct {
	collector.UnimplementedTraceServiceServer

	mu  sync.Mutex
	got map[string]map[string][]string
}

func (s *spans) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, from := range r.GetResourceSpans() {
		service := ""
		for _, a := range from.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range from.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				id := string(span.GetTraceId())
				if s.got[id] == nil {
					s.got[id] = map[string][]string{}
				}
				s.got[id][service] = append(s.got[id][service], span.GetName())
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// TestTraces sends the spans of two processes to one collector, where they are
// one trace.
func TestTraces(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &spans{got: map[string]map[string][]string{}}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	endpoint := "http://" + l.Addr().String()
	w := startChild(t, anyTCP(), "--otlp-endpoint", endpoint)
	r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "5", "--executor", w.urls[0], "--otlp-endpoint", endpoint)
	require.Zero(t, r.code, r.stderr)
	code, _ := w.signal(t, syscall.SIGTERM)
	require.Zero(t, code, w.stderr)
	server.Stop()
	require.NoError(t, <-done)
	generations := 0
	for _, services := range s.got {
		for _, name := range services["genie"] {
			if name != "genie.Generate" {
				continue
			}
			generations++
			require.Subset(t, services["genie"], []string{"genie.Prepare", "genie.Loop"})
			require.Subset(t, services["genie-worker"], []string{"genie.worker/Prepare", "genie.worker/Loop"})
		}
	}
	require.Equal(t, 1, generations)
}

// TestNobodyCollects traces to an address without a collector: the program does
// its work.
func TestNobodyCollects(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	endpoint := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "3", "--otlp-endpoint", endpoint)
	require.Zero(t, r.code, r.stderr)
	require.NotEmpty(t, r.stdout)
	require.Contains(t, r.stderr, "genie: warning: traces were not sent to "+endpoint)
}
