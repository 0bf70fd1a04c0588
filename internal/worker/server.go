package worker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/worker/meter"
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
	meter   *meter.Meter
	health  *health.Server

	lastConn atomic.Uint64

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
	memory, m := opts.Engine.Memory(), &meter.Meter{}
	s := &Server{
		opts: opts, ctx: ctx, cancel: cancel, staging: staging{limit: int64(opts.MaxStaging), account: memory}, partials: newPartials(opts),
		admit:   newAdmitter(opts),
		leases:  leases{meter: m, byKey: map[[sha256.Size]byte]*lease{}},
		tenants: tenants{quota: opts.Quota, by: map[string]*tenant{}},
		meter:   m, health: newHealth(),
		listeners: map[net.Listener]struct{}{}, grpc: map[*grpc.Server]struct{}{}, conns: map[*conn]struct{}{},
	}
	s.forget = []func(){memory.Register(budget.Spare, spares{s}), memory.Register(budget.Unused, s.partials)}
	return s
}

// Serve takes TCP connections from l until the server is shut down, which it
// reports as nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer func() { _ = l.Close() }()
	if err := s.listens(l); err != nil {
		return err
	}
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

// listens notes a listener, which a shutdown closes.
func (s *Server) listens(l net.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return fmt.Errorf("%w: worker", transport.ErrClosed)
	}
	s.listeners[l] = struct{}{}
	return nil
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
		s.meter.ConnectionsRefused.Add(1)
		return nil, errDraining
	}
	if len(s.conns) >= s.opts.MaxConns {
		s.meter.ConnectionsRefused.Add(1)
		return nil, tooMany(len(s.conns))
	}
	c := newConn(s, pipe, peer)
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	s.meter.Connections.Add(1)
	s.meter.ConnectionsOpen.Add(1)
	return c, nil
}

func (s *Server) dropConn(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.tenants.leave(c.tenant)
	s.meter.ConnectionsOpen.Add(-1)
	s.wg.Done()
}

// Staged is the memory in which the inputs of calls wait, in bytes.
func (s *Server) Staged() int64 { return s.staging.used.Load() }
