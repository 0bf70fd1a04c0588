package link

import (
	"context"
	"net"
	"time"
)

// Link joins two hosts: a client and a worker. Its connections share the
// bandwidth of each direction. The process at one end uses one direction of its
// Link; the process at the other end uses the other direction of its own. A
// Link holds no resources; its connections do until they are closed.
type Link struct {
	profile  Profile
	up, down direction
	seed     uint64
	plain    bool // use only Go's timers, as virtual time requires
}

// New makes a link. seed decides the jitter.
func New(p Profile, seed uint64) *Link {
	l := &Link{profile: p, seed: seed}
	base := time.Now()
	for _, d := range []*direction{&l.up, &l.down} {
		d.profile, d.base = p, base
		d.delay = p.RTT / 2
		d.burst = p.serialise(uint64(p.burst()))
		d.free = -d.burst // full
		d.segment = p.segment()
		d.blocks.New = func() any { return new(block) }
	}
	return l
}

// Profile is the profile of the link.
func (l *Link) Profile() Profile { return l.profile }

// Counters is the activity of one direction of a link.
type Counters struct {
	Conns     int64 // connections made
	Written   int64 // bytes accepted
	Delivered int64 // bytes delivered; all of Written when nothing is in flight
	// Deliveries is the number of deliveries, Late their total delay behind the
	// schedule, MaxLate the largest delay. A peer that does not read also
	// counts as late.
	Deliveries int64
	Late       time.Duration
	MaxLate    time.Duration
}

// Counters are those of the two directions: up is from the client's end to the
// worker's, down is the reverse. Only ends in this process count.
func (l *Link) Counters() (up, down Counters) {
	return l.up.counters(), l.down.counters()
}

func (d *direction) counters() Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// Client is the client's end of a connection: its writes go up. It takes over
// conn. Half-close (CloseWrite) works if conn supports it.
func (l *Link) Client(conn net.Conn) net.Conn { return l.end(conn, &l.up) }

// Worker is the worker's end of a connection: its writes go down. Otherwise it
// is like [Link.Client].
func (l *Link) Worker(conn net.Conn) net.Conn { return l.end(conn, &l.down) }

func (l *Link) end(c net.Conn, d *direction) net.Conn {
	d.mu.Lock()
	d.conns++
	n := d.conns
	d.count.Conns++
	d.mu.Unlock()
	if !l.profile.Shapes() {
		return &passed{Conn: c, d: d}
	}
	return newConn(c, d, l.seed, n, l.plain)
}

// Wrap is one end of a connection over a separate link.
func Wrap(conn net.Conn, p Profile, seed uint64) net.Conn { return New(p, seed).Client(conn) }

// DialFunc opens a connection to a host and a port.
type DialFunc = func(ctx context.Context, addr string) (net.Conn, error)

// Dialer opens connections over the link with dial; a nil dial is plain TCP.
// Opening takes one round trip more than dial, which ctx may cut short. The
// result fits tcp.WithDialer, rpc.WithDialer and genie.WithDialer.
func (l *Link) Dialer(dial DialFunc) DialFunc {
	if dial == nil {
		var d net.Dialer
		dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	return func(ctx context.Context, addr string) (net.Conn, error) {
		open := time.Now().Add(l.profile.RTT)
		c, err := dial(ctx, addr)
		if err != nil {
			return nil, err
		}
		if err := l.settle(ctx, open); err != nil {
			_ = c.Close()
			return nil, err
		}
		return l.Client(c), nil
	}
}

// settle waits for the handshake of a connection.
func (l *Link) settle(ctx context.Context, open time.Time) error {
	left := time.Until(open)
	if left <= 0 {
		return nil
	}
	w := newWaiter(l.plain)
	defer w.close()
	for left > 0 {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		w.wait(left, ctx.Done())
		left = time.Until(open)
	}
	return nil
}

// Dialer is the client's end of a separate link, over plain TCP.
func Dialer(p Profile, seed uint64) DialFunc { return New(p, seed).Dialer(nil) }

// Listener is the worker's end: connections that inner accepts write over the
// link. Close closes inner.
func (l *Link) Listener(inner net.Listener) net.Listener { return &listener{inner, l} }

type listener struct {
	net.Listener
	link *Link
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.link.Worker(c), nil
}
