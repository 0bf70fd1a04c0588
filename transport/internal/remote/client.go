package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"weak"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// Config is what a dialler knows about its connection.
type Config struct {
	Addr       string            // as the user gave it, in every error
	Ledger     *transport.Ledger // counts frames; the pipe counts the socket
	Log        *slog.Logger
	MaxMessage uint64 // largest payload of a message, either way
}

// Client is an executor at the other end of a connection.
type Client struct {
	cfg   Config
	conn  *wire.Conn
	hello *wirepb.Hello

	dead chan struct{} // closed when the connection has failed or is closed
	done chan struct{} // closed when the receiving goroutine has ended

	mu       sync.Mutex
	err      error // why it is dead
	streams  map[uint64]*pending
	lastCall uint64
	lastSess uint32
	hashes   map[weak.Pointer[plan.Plan]]plan.Hash
}

// Open says hello over pipe and starts receiving. It takes pipe over, also
// when it fails.
func Open(ctx context.Context, pipe wire.Pipe, cfg Config) (*Client, error) {
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = wire.MaxMessagePayload
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		cfg: cfg, conn: wire.NewConn(pipe, cfg.Ledger),
		dead: make(chan struct{}), done: make(chan struct{}),
		streams: map[uint64]*pending{}, hashes: map[weak.Pointer[plan.Plan]]plan.Hash{},
	}
	ctx, cancel := context.WithTimeout(ctx, wire.HandshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	err := c.handshake(ctx)
	if !stop() && err == nil {
		err = ctxError(ctx)
	}
	if err != nil {
		_ = c.conn.Close()
		if ctx.Err() != nil {
			err = ctxError(ctx)
		}
		return nil, c.describe("handshake", err)
	}
	cfg.Log.Debug("connected", "addr", cfg.Addr, "worker_pid", c.hello.GetPid(), "cpu", c.hello.GetCpu())
	go c.receive()
	return c, nil
}

func (c *Client) handshake(ctx context.Context) error {
	c.cfg.Ledger.AddRoundTrips(1)
	m := wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{
		Version: wire.Version, MaxFramePayload: wire.MaxFramePayload, MaxMessagePayload: c.cfg.MaxMessage,
	}}
	if _, err := c.conn.Send(ctx, &m); err != nil {
		return err
	}
	h, control, err := c.conn.Next()
	if err != nil {
		return err
	}
	if h.Type == wire.TypeError {
		return c.remoteError(control)
	}
	if h.Type != wire.TypeHello || h.Payload != 0 {
		return fmt.Errorf("%w: %v instead of Hello", transport.ErrProtocol, h.Type)
	}
	c.hello = &wirepb.Hello{}
	if err := proto.Unmarshal(control, c.hello); err != nil {
		return fmt.Errorf("%w: %w", transport.ErrProtocol, err)
	}
	if v := c.hello.GetVersion(); v != wire.Version {
		return fmt.Errorf("%w: the worker speaks version %d, this side %d", transport.ErrVersion, v, wire.Version)
	}
	return nil
}

// Ledger implements [transport.Executor].
func (c *Client) Ledger() *transport.Ledger { return c.cfg.Ledger }

// WorkerPID is the process at the other end.
func (c *Client) WorkerPID() int { return int(c.hello.GetPid()) }

// Stats implements [transport.Executor]: the worker answers.
func (c *Client) Stats(ctx context.Context) (transport.Stats, error) {
	var m wirepb.Stats
	if err := c.call(ctx, &request{typ: wire.TypeStats, answer: &m}); err != nil {
		return transport.Stats{}, err
	}
	return transport.Stats{
		PID: int(m.GetPid()), CPU: m.GetCpu(), Runs: m.GetRuns(), Ops: m.GetOps(), Sessions: m.GetSessions(),
		Plans: m.GetPlans(), PlansSent: m.GetPlansReceived(), Weights: m.GetWeights(), WeightBytes: m.GetWeightBytes(),
		WeightsSent: m.GetWeightsReceived(), StateBytes: m.GetStateBytes(), ScratchBytes: m.GetScratchBytes(),
		PeakRSS: m.GetPeakRssBytes(),
	}, nil
}

// NewSession implements [transport.Executor].
func (c *Client) NewSession(ctx context.Context) (transport.Session, error) {
	c.mu.Lock()
	c.lastSess++
	s := newSession(c, c.lastSess)
	c.mu.Unlock()
	err := c.call(ctx, &request{typ: wire.TypeOpenSession, control: &wirepb.OpenSession{Session: s.num}})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close implements [transport.Executor]: it drops the connection, and with it
// the worker closes the sessions.
func (c *Client) Close() error {
	c.fail(fmt.Errorf("%w: executor %s", transport.ErrClosed, c.cfg.Addr))
	<-c.done
	return nil
}

// fail ends the connection; every call that waits or is made later gets err.
func (c *Client) fail(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
		close(c.dead)
	}
	c.mu.Unlock()
	if first {
		_ = c.conn.Close()
	}
}

// failure is why the connection is dead.
func (c *Client) failure() error {
	<-c.dead
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// describe names the address and, unless err has a cause of its own, says that
// the worker cannot be reached. That the connection is closed is no such cause:
// where this side has closed it, failure says so, and otherwise it broke while
// another call was writing.
func (c *Client) describe(doing string, err error) error {
	if _, ok := errors.AsType[*transport.RemoteError](err); ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	for _, cause := range []error{
		transport.ErrProtocol, transport.ErrVersion, transport.ErrCorrupt, transport.ErrLimit,
		transport.ErrUnreachable,
	} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%w (%s with %s)", err, doing, c.cfg.Addr)
		}
	}
	if errors.Is(err, transport.ErrClosed) {
		return fmt.Errorf("%w: %s with %s: it is broken", transport.ErrUnreachable, doing, c.cfg.Addr)
	}
	return fmt.Errorf("%w: %s with %s: %w", transport.ErrUnreachable, doing, c.cfg.Addr, err)
}

// hash is p's hash, computed once a plan.
func (c *Client) hash(p *plan.Plan) plan.Hash {
	key := weak.Make(p)
	c.mu.Lock()
	h, ok := c.hashes[key]
	c.mu.Unlock()
	if ok {
		return h
	}
	h = p.Hash()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.hashes) >= maxHashes {
		clear(c.hashes)
	}
	c.hashes[key] = h
	return h
}

const maxHashes = 1024
