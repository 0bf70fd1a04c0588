// Package peers delivers values of a worker's sessions to other workers. It dials
// only addresses that the worker's operator has listed, keeps few connections, and
// drops those that are idle.
package peers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
)

const (
	// maxPeers bounds the connections.
	maxPeers = 64
	// idleTime is how long an unused connection is retained.
	idleTime = time.Minute
	// dialTime bounds the dialling of a peer, and the restoring of a lost
	// connection.
	dialTime = 5 * time.Second
)

// Options configure [New].
type Options struct {
	// Allow is the addresses that may be dialled.
	Allow List
	// Credentials are what this worker requires of others and presents to them.
	Credentials credentials.Client
	Log         *slog.Logger     // nil discards
	Tracer      transport.Tracer // nil for none

	idle time.Duration // for tests
}

// Peers are the workers to which this one sends.
type Peers struct {
	opts   Options
	key    transport.PeerKey
	ledger *transport.Ledger

	mu     sync.Mutex
	closed bool
	open   map[string]*peer
}

// peer is one of them. Its fields are guarded by the lock of Peers, but for those
// that are set when ready is closed.
type peer struct {
	address string
	users   int
	idle    *time.Timer // while it has no user

	ready chan struct{}
	x     transport.Executor
	err   error
}

// New makes a set without connections.
func New(o Options) *Peers {
	if o.idle == 0 {
		o.idle = idleTime
	}
	return &Peers{opts: o, key: transport.NewPeerKey(), open: map[string]*peer{}}
}

// Count makes the connections count their bytes in l. It is called before the first
// one is made.
func (p *Peers) Count(l *transport.Ledger) { p.ledger = l }

// ID is in whose name values are sent.
func (p *Peers) ID() transport.PeerID { return p.key.ID() }

// Deliver hands over what a ticket is for. Errors wrap [transport.ErrNoPeer] if the
// receiver may not be dialled or does not answer.
func (p *Peers) Deliver(ctx context.Context, t transport.Ticket, v transport.Tensor) error {
	scheme, address, err := p.opts.Allow.check(t.Address)
	if err != nil {
		return err
	}
	c, idle, err := p.take(scheme, address)
	if idle != nil {
		go idle.close()
	}
	if err != nil {
		return err
	}
	defer p.leave(c)
	select {
	case <-c.ready:
	case <-ctx.Done():
		return fmt.Errorf("genie: stopped while a receiver was dialled: %w", context.Cause(ctx))
	}
	if c.err != nil {
		p.drop(c)
		return fmt.Errorf("%w: %w", transport.ErrNoPeer, c.err)
	}
	courier, ok := c.x.(transport.Courier)
	if !ok {
		return fmt.Errorf("%w: an executor that carries nothing", transport.ErrInternal)
	}
	err = courier.Deliver(ctx, t, p.key, v)
	if errors.Is(err, transport.ErrUnreachable) {
		p.drop(c)
	}
	return err
}

// take finds the connection with a peer, or begins it, and counts a user. idle is
// another one that had to go and is to be closed.
func (p *Peers) take(scheme, address string) (c, idle *peer, err error) {
	name := scheme + "://" + address
	c, idle, begun, err := p.find(name)
	if begun {
		go p.dial(c, scheme, address)
	}
	return c, idle, err
}

func (p *Peers) find(name string) (c, idle *peer, begun bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, false, fmt.Errorf("%w: worker", transport.ErrClosed)
	}
	if c = p.open[name]; c == nil {
		if len(p.open) >= maxPeers {
			if idle = p.evict(); idle == nil {
				return nil, nil, false, fmt.Errorf("%w: connections with %d other workers are in use", transport.ErrLimit, len(p.open))
			}
		}
		c, begun = &peer{address: name, ready: make(chan struct{})}, true
		p.open[name] = c
	}
	if c.users++; c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
	return c, idle, begun, nil
}

// evict takes an idle connection from the set. The caller holds the lock.
func (p *Peers) evict() *peer {
	for name, c := range p.open {
		if c.users == 0 {
			delete(p.open, name)
			return c
		}
	}
	return nil
}

// dial makes the connection. It is not ended with the first caller: others may wait
// for it.
func (p *Peers) dial(c *peer, scheme, address string) {
	defer close(c.ready)
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	if scheme == "grpc" {
		c.x, c.err = rpc.Dial(ctx, address, rpc.WithCredentials(p.opts.Credentials), rpc.WithLedger(p.ledger),
			rpc.WithReconnect(dialTime), rpc.WithLogger(p.opts.Log), rpc.WithTracer(p.opts.Tracer))
		return
	}
	c.x, c.err = tcp.Dial(ctx, address, tcp.WithCredentials(p.opts.Credentials), tcp.WithLedger(p.ledger),
		tcp.WithReconnect(dialTime), tcp.WithLogger(p.opts.Log), tcp.WithTracer(p.opts.Tracer))
}

// leave ends a use.
func (p *Peers) leave(c *peer) {
	if p.left(c) {
		c.close()
	}
}

// left reports whether the connection is to be closed: nobody uses it any more, and
// it is not one of the set.
func (p *Peers) left(c *peer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.users--; c.users > 0 {
		return false
	}
	if p.open[c.address] != c {
		return true
	}
	var idle *time.Timer
	idle = time.AfterFunc(p.opts.idle, func() {
		if p.expired(c, &idle) {
			c.close()
		}
	})
	c.idle = idle
	return false
}

// expired takes a connection from the set whose timer has fired, unless it is in use
// again.
func (p *Peers) expired(c *peer, idle **time.Timer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.idle != *idle || p.open[c.address] != c {
		return false
	}
	delete(p.open, c.address)
	return true
}

// drop takes a connection that failed from the set; its last user closes it.
func (p *Peers) drop(c *peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[c.address] == c {
		delete(p.open, c.address)
	}
}

// Open is the number of connections.
func (p *Peers) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// Close ends the connections, and makes no more.
func (p *Peers) Close() error {
	for _, c := range p.close() {
		c.close()
	}
	return nil
}

func (p *Peers) close() (open []*peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for name, c := range p.open {
		if c.idle != nil {
			c.idle.Stop()
			c.idle = nil
		}
		delete(p.open, name)
		open = append(open, c)
	}
	return open
}

func (c *peer) close() {
	<-c.ready
	if c.x != nil {
		_ = c.x.Close()
	}
}
