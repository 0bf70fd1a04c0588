package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/genie-sdk/go/transport"
)

const (
	// handBackTime is how long requests that a shutdown ends may take to stop
	// and to be answered.
	handBackTime = time.Second
	// farewell is how long gRPC may take to write the last answers.
	farewell = 500 * time.Millisecond
)

// errDraining answers requests that a shutdown refuses or ends. They are valid
// and may be retried on another worker.
var errDraining = fmt.Errorf("%w: the worker is shutting down", transport.ErrClosed)

// DrainError says that a shutdown ended requests before they were done.
type DrainError struct {
	Requests int   // that were running
	Cause    error // why it did not wait for them
}

// Error says how many requests were ended.
func (e *DrainError) Error() string {
	return fmt.Sprintf("genie: the worker shut down with %d requests under way: %v", e.Requests, e.Cause)
}

// Unwrap is the cause.
func (e *DrainError) Unwrap() error { return e.Cause }

// Shutdown drains the server and closes it. It is at once no longer
// [Server.Ready] and accepts neither connections nor requests. It lets running
// requests finish until ctx ends, ends the others with [transport.ErrClosed],
// which tells their clients to retry elsewhere, and closes all connections. It
// returns a [DrainError] when requests were ended.
func (s *Server) Shutdown(ctx context.Context) error {
	conns := s.refuseMore()
	if len(conns) > 0 {
		s.opts.Log.Info("draining", "connections", len(conns), "requests", underWay(conns))
	}
	var err error
	if cause := drain(ctx, conns); cause != nil {
		err = s.handBack(conns, cause)
	}
	s.close(conns)
	return err
}

// Close ends the server without waiting for requests.
func (s *Server) Close() error {
	s.close(s.refuseMore())
	return nil
}

// refuseMore stops accepting connections and requests and returns the existing
// connections.
func (s *Server) refuseMore() []*conn {
	s.health.Shutdown()
	conns := s.closesDoors()
	for _, c := range conns {
		c.refuseMore()
	}
	return conns
}

// closesDoors closes the listeners and lists the existing connections.
func (s *Server) closesDoors() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for l := range s.listeners {
		_ = l.Close()
	}
	return slices.Collect(maps.Keys(s.conns))
}

// drain waits until no connection has a running request.
func drain(ctx context.Context, conns []*conn) error {
	for _, c := range conns {
		if err := c.drain(ctx); err != nil {
			return err
		}
	}
	return nil
}

func underWay(conns []*conn) (n int) {
	for _, c := range conns {
		c.mu.Lock()
		n += len(c.streams)
		c.mu.Unlock()
	}
	return n
}

// handBack ends the remaining requests and waits briefly until their answers
// are sent.
func (s *Server) handBack(conns []*conn, cause error) error {
	ended := &DrainError{Requests: underWay(conns), Cause: cause}
	if ended.Requests == 0 {
		return nil
	}
	s.opts.Log.Warn("requests are ended", "requests", ended.Requests, "cause", cause)
	for _, c := range conns {
		c.handBack()
	}
	ctx, cancel := context.WithTimeout(context.Background(), handBackTime)
	defer cancel()
	if err := drain(ctx, conns); err != nil {
		s.opts.Log.Warn("requests do not end", "requests", underWay(conns))
	}
	return ended
}

// handBack ends the requests that have arrived completely: their sessions
// answer them. It accepts no more of incomplete ones.
func (c *conn) handBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, st := range c.streams {
		st.cancel(errDraining)
	}
}

// close ends all connections and waits until their resources are free.
func (s *Server) close(conns []*conn) {
	s.cancel()
	for _, c := range conns {
		c.close()
	}
	s.leases.close()
	for _, g := range s.grpcServers() {
		stop(g)
	}
	s.wg.Wait()
	s.partials.close()
	for _, forget := range s.forget {
		forget()
	}
}

func (s *Server) grpcServers() []*grpc.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.grpc))
}

// stop lets a gRPC server write its buffers before it drops its connections,
// unless a peer does not read.
func stop(g *grpc.Server) {
	late := time.AfterFunc(farewell, g.Stop)
	defer late.Stop()
	g.GracefulStop()
}

// drain waits for the running requests.
func (c *conn) drain(ctx context.Context) error {
	idle := c.untilIdle()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-c.ctx.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// untilIdle is closed when the running requests have ended; nil when there are
// none.
func (c *conn) untilIdle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.streams) == 0 {
		return nil
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	return c.idle
}
