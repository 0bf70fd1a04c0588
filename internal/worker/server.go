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
	"github.com/genie-sdk/go/internal/connlimit"
	"github.com/genie-sdk/go/internal/tickets"
	"github.com/genie-sdk/go/internal/worker/meter"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// Server accepts connections and serves them. Create it with [New].
type Server struct {
	opts    Options
	staging staging
	leases  leases
	buffers sync.Pool    // *[]byte of wire.ChunkSize, for pieces of weights
	plans   atomic.Int64 // received
	bound   atomic.Int64 // times that sizes of a plan's inputs were computed
	tenants tenants
	door    *connlimit.Table
	admit   admitter
	meter   *meter.Meter
	health  *health.Server

	lastConn atomic.Uint64

	partials   *partials
	tickets    *tickets.Table
	claims     *claims
	possession *transport.PossessionKey // nil when nothing is to be proved
	resumed    atomic.Int64             // uploads resumed after an interruption
	forget     []func()                 // remove the server's holders from the budget

	ctx    context.Context // ends when the server closes
	cancel context.CancelFunc
	wg     sync.WaitGroup // connections and sessions

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	grpc      map[*grpc.Server]struct{}
	conns     map[*conn]struct{}
}

// Bound is how often the sizes of a plan's inputs were computed: once for each run,
// and once for all runs of a loop.
func (s *Server) Bound() int64 { return s.bound.Load() }

// New makes a server.
func New(opts Options) *Server {
	opts = opts.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	memory, m := opts.Engine.Memory(), &meter.Meter{}
	s := &Server{
		opts: opts, ctx: ctx, cancel: cancel, staging: staging{limit: int64(opts.MaxStaging), account: memory}, partials: newPartials(opts),
		claims: newClaims(opts.claimIdle), tickets: tickets.New(opts.Lease), possession: newPossession(opts),
		admit:   newAdmitter(opts),
		leases:  leases{meter: m, byKey: map[[sha256.Size]byte]*lease{}},
		tenants: tenants{quota: opts.Quota, memory: memory, by: map[string]*tenant{}},
		door:    newDoor(opts, ctx.Done(), m),
		meter:   m, health: newHealth(),
		listeners: map[net.Listener]struct{}{}, grpc: map[*grpc.Server]struct{}{}, conns: map[*conn]struct{}{},
	}
	s.tenants.reclaim = s.reclaim
	opts.Engine.OnDevice(s.deviceChanged)
	if opts.Peers != nil {
		opts.Peers.Count(&m.Ledger)
	}
	s.forget = []func(){memory.Register(budget.Spare, spares{s}), memory.Register(budget.Unused, s.partials)}
	return s
}

// reclaim drops what is charged to an identity and not needed.
func (s *Server) reclaim(t *tenant, n int64) {
	n -= s.partials.dropOf(t, n)
	n -= spares{s}.dropOf(t, n)
	if n > 0 {
		s.opts.Engine.DropBindings(&t.bytes, n)
	}
}

// Serve accepts TCP connections from l until the server is shut down, which it
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
		s.enter(nc)
	}
}

// listens registers a listener, which a shutdown closes.
func (s *Server) listens(l net.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return fmt.Errorf("%w: worker", transport.ErrClosed)
	}
	s.listeners[l] = struct{}{}
	return nil
}

// enter admits a TCP connection.
func (s *Server) enter(nc net.Conn) {
	peer := nc.RemoteAddr().String()
	g, err := s.door.Enter(peer, func() { _ = nc.Close() }, false) // its handshake has its own time limit
	if err != nil {
		s.refused(peer, err)
		_ = nc.Close()
		return
	}
	pipe, begin := s.secured(nc)
	c, err := s.newConn(pipe, peer, g)
	if err != nil {
		s.refused(peer, err)
		_ = nc.Close()
		g.Gone()
		return
	}
	c.begin, c.alone = begin, true
	go c.serve()
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// newConn registers a connection, or a stream of one; its serve must be called.
func (s *Server) newConn(pipe wire.Pipe, peer string, g *connlimit.Guest) (*conn, error) {
	if err := g.Greet(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		g.Refuse()
		return nil, errDraining
	}
	c := newConn(s, pipe, peer)
	c.guest = g
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
	if c.alone {
		c.guest.Gone()
	}
	if c.known {
		c.guest.Leave(c.tenant.identity)
	} else {
		c.guest.Refuse()
	}
	s.tenants.leave(c.tenant)
	s.meter.ConnectionsOpen.Add(-1)
	s.wg.Done()
}

// Staged is the memory of the waiting inputs of calls, in bytes.
func (s *Server) Staged() int64 { return s.staging.used.Load() }
