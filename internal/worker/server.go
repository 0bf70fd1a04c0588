package worker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// Server takes connections and serves them. Create it with [New].
type Server struct {
	opts    Options
	staging staging
	leases  leases
	buffers sync.Pool    // *[]byte of wire.ChunkSize, for pieces of weights
	plans   atomic.Int64 // received
	tenants tenants
	admit   admitter

	partials *partials
	resumed  atomic.Int64 // uploads that went on where another was cut short
	forget   []func()     // takes the server's holders from the account

	ctx    context.Context // ends when the server closes
	cancel context.CancelFunc
	wg     sync.WaitGroup // connections and sessions

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	grpc      map[*grpc.Server]struct{}
	conns     map[*conn]struct{}
}

// New makes a server.
func New(opts Options) *Server {
	opts = opts.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	memory := opts.Engine.Memory()
	s := &Server{
		opts: opts, ctx: ctx, cancel: cancel, staging: staging{limit: int64(opts.MaxStaging), account: memory}, partials: newPartials(opts),
		admit:     newAdmitter(opts),
		leases:    leases{byKey: map[[sha256.Size]byte]*lease{}},
		tenants:   tenants{quota: opts.Quota, by: map[string]*tenant{}},
		listeners: map[net.Listener]struct{}{}, grpc: map[*grpc.Server]struct{}{}, conns: map[*conn]struct{}{},
	}
	s.forget = []func(){memory.Register(budget.Spare, spares{s}), memory.Register(budget.Unused, s.partials)}
	return s
}

// Serve takes TCP connections from l until the server is shut down, which it
// reports as nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer func() { _ = l.Close() }()
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return fmt.Errorf("%w: worker", transport.ErrClosed)
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, l)
	}()
	for {
		nc, err := l.Accept()
		if err != nil {
			if s.isClosing() {
				return nil
			}
			if temporary(err) {
				s.opts.Log.Warn("accept", "error", err)
				if s.pause() {
					continue
				}
				return nil
			}
			return err
		}
		pipe, begin := s.secured(nc)
		c, err := s.newConn(pipe, nc.RemoteAddr().String())
		if err != nil {
			s.opts.Log.Warn("connection refused", "peer", nc.RemoteAddr().String(), "error", err)
			_ = nc.Close()
			continue
		}
		c.begin = begin
		go c.serve()
	}
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// newConn registers a connection; its serve must be called.
func (s *Server) newConn(pipe wire.Pipe, peer string) (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, fmt.Errorf("%w: worker", transport.ErrClosed)
	}
	if len(s.conns) >= s.opts.MaxConns {
		return nil, fmt.Errorf("%w: %d connections", transport.ErrLimit, len(s.conns))
	}
	c := newConn(s, pipe, peer)
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return c, nil
}

func (s *Server) dropConn(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.tenants.leave(c.tenant)
	s.wg.Done()
}

// Shutdown stops taking connections and requests, lets those that are under
// way finish until ctx ends, and closes all connections.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for l := range s.listeners {
		_ = l.Close()
	}
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	err := error(nil)
	for _, c := range conns {
		c.refuseMore()
	}
	for _, c := range conns {
		if e := c.drain(ctx); e != nil {
			err = errors.Join(err, e)
		}
	}
	s.cancel()
	for _, c := range conns {
		c.close()
	}
	s.leases.close()
	s.mu.Lock()
	servers := make([]*grpc.Server, 0, len(s.grpc))
	for g := range s.grpc {
		servers = append(servers, g)
	}
	s.mu.Unlock()
	for _, g := range servers {
		g.Stop()
	}
	s.wg.Wait()
	s.partials.close()
	for _, forget := range s.forget {
		forget()
	}
	return err
}

// Staged is the memory in which the inputs of calls wait, in bytes.
func (s *Server) Staged() int64 { return s.staging.used.Load() }

// Close is a shutdown that waits for no request.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
