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
	// handBackTime is how long requests that a shutdown ends have to stop and to
	// be answered.
	handBackTime = time.Second
	// farewell is how long gRPC has to write what was answered last.
	farewell = 500 * time.Millisecond
)

// errDraining answers requests that a shutdown refuses or ends: nothing is wrong
// with them, and they may be made again on another worker.
var errDraining = fmt.Errorf("%w: the worker is shutting down", transport.ErrClosed)

// DrainError says that a shutdown ended requests before they were done.
type DrainError struct {
	Requests int   // that were under way
	Cause    error // why it did not wait for them
}

// Error says how many requests were ended.
func (e *DrainError) Error() string {
	return fmt.Sprintf("genie: the worker shut down with %d requests under way: %v", e.Requests, e.Cause)
}

// Unwrap is the cause.
func (e *DrainError) Unwrap() error { return e.Cause }

// Shutdown drains the server and closes it. It stops at once to be [Server.Ready]
// and to take connections and requests; lets the requests that are under way
// finish until ctx ends; ends those that are left with [transport.ErrClosed],
// which their clients can read and act on; and closes all connections. It is a
// [DrainError] when requests were ended.
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

// Close ends the server and waits for no request.
func (s *Server) Close() error {
	s.close(s.refuseMore())
	return nil
}

// refuseMore takes no more connections and requests and returns the connections
// that there are.
func (s *Server) refuseMore() []*conn {
	s.health.Shutdown()
	conns := s.closesDoors()
	for _, c := range conns {
		c.refuseMore()
	}
	return conns
}

// closesDoors ends listening and lists the connections that there are.
func (s *Server) closesDoors() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for l := range s.listeners {
		_ = l.Close()
	}
	return slices.Collect(maps.Keys(s.conns))
}

// drain waits until no connection has a request under way.
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

// handBack ends the requests that are left and waits a moment for their answers
// to go out.
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

// handBack ends the requests that are there in full: their sessions answer them.
// Of those that are not, no more is taken.
func (c *conn) handBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, st := range c.streams {
		st.cancel(errDraining)
	}
}

// close ends all connections and waits for what they held.
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

// stop lets a gRPC server write what is in its buffers before it drops its
// connections, unless a peer does not read.
func stop(g *grpc.Server) {
	late := time.AfterFunc(farewell, g.Stop)
	defer late.Stop()
	g.GracefulStop()
}

// drain waits for the requests under way.
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

// untilIdle is closed when the requests under way have ended; nil when there are
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
