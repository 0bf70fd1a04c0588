package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// Config is a dialler's settings for its connections.
type Config struct {
	Addr       string            // as the user gave it, in every error
	Ledger     *transport.Ledger // counts frames; the pipe counts the socket
	Log        *slog.Logger
	Tracer     transport.Tracer // its span in a call's context is sent with the call; nil for none
	MaxMessage uint64           // largest payload of a message, in either direction
	// Silence is how long the worker may be silent before it is declared dead:
	// [wire.Silence] when 0, for ever when negative.
	Silence time.Duration
	Token   string // identifies the client; may be empty
	// RetryOverloaded retries requests that an overloaded worker refused.
	RetryOverloaded bool
}

func (c Config) withDefaults() Config {
	if c.MaxMessage == 0 {
		c.MaxMessage = wire.MaxMessagePayload
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Silence == 0 {
		c.Silence = wire.Silence
	}
	return c
}

// Client is one connection to a worker. Once lost it stays lost.
type Client struct {
	cfg   Config
	conn  *wire.Conn
	hello *wirepb.Hello

	dead chan struct{}  // closed when the connection has failed or is closed
	done sync.WaitGroup // its goroutines

	reading *reading

	mu       sync.Mutex
	err      error // why it is dead
	streams  map[uint64]*pending
	lastCall uint64
}

// Open sends a Hello over pipe and starts receiving. It takes over pipe, also
// when it fails.
func Open(ctx context.Context, pipe wire.Pipe, cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	c := &Client{
		cfg: cfg, conn: wire.NewConn(pipe, cfg.Ledger), dead: make(chan struct{}), streams: map[uint64]*pending{},
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
	cfg.Log.Debug("connected", "addr", cfg.Addr, "worker_pid", c.hello.GetPid(), "cpu", wire.Words(c.hello.GetCpu()))
	c.reading = newReading(c.conn.Awaits())
	c.done.Go(c.receive)
	c.done.Go(c.beat)
	return c, nil
}

// beat sends heartbeats and checks those of the worker, if it has promised any.
func (c *Client) beat() {
	h := wire.Heart{Every: wire.EveryMillis(c.hello.GetHeartbeatMs()), Silence: c.cfg.Silence}
	if h.Every == 0 {
		h.Silence = 0
	}
	if err := c.conn.Beat(context.Background(), h); err != nil {
		c.fail(fmt.Errorf("%w (connection with %s)", err, c.cfg.Addr))
	}
}

func (c *Client) handshake(ctx context.Context) error {
	c.cfg.Ledger.AddRoundTrips(1)
	m := wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{
		Version: wire.Version, MaxFramePayload: wire.MaxFramePayload, MaxMessagePayload: c.cfg.MaxMessage,
		HeartbeatMs: wire.HeartbeatMillis(c.cfg.Silence),
		Token:       []byte(c.cfg.Token),
		Features:    uint64(features),
	}}
	_, unsent := c.conn.Send(ctx, &m)
	h, control, err := c.conn.Next() // a peer that ended the connection before the Hello may have said why
	switch {
	case err == nil && h.Type == wire.TypeError:
		return c.remoteError(control)
	case unsent != nil && (err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)):
		return unsent
	case err != nil:
		return err
	}
	if h.Type != wire.TypeHello || h.Payload != 0 {
		return fmt.Errorf("%w: %v instead of Hello", transport.ErrProtocol, h.Type)
	}
	c.hello = &wirepb.Hello{}
	if err := proto.Unmarshal(control, c.hello); err != nil {
		return fmt.Errorf("%w: %w", transport.ErrProtocol, err)
	}
	if v := c.hello.GetVersion(); v != wire.Version {
		return fmt.Errorf("%w: the worker speaks version %d, this client version %d", transport.ErrVersion, v, wire.Version)
	}
	return nil
}

// statsOf reads an answer to Stats.
func statsOf(m *wirepb.Stats) transport.Stats {
	return transport.Stats{
		PID: int(m.GetPid()), CPU: wire.Words(m.GetCpu()), Runs: m.GetRuns(), Ops: m.GetOps(), Sessions: m.GetSessions(),
		Plans: m.GetPlans(), PlansSent: m.GetPlansReceived(), Weights: m.GetWeights(), WeightBytes: m.GetWeightBytes(),
		WeightsSent: m.GetWeightsReceived(), StateBytes: m.GetStateBytes(), ScratchBytes: m.GetScratchBytes(),
		Batches: m.GetBatches(), BatchedRuns: m.GetBatchedRuns(),
		PeakRSS: m.GetPeakRssBytes(), MemoryUsed: m.GetMemoryUsedBytes(), MemoryLimit: m.GetMemoryLimitBytes(),
		PackedBytes: m.GetPackedBytes(), RetainedBytes: m.GetRetainedBytes(), StagingBytes: m.GetStagingBytes(),
		PlanBytes: m.GetPlanBytes(), BufferBytes: m.GetBufferBytes(),
		WeightEvictions: m.GetWeightEvictions(), CacheHits: m.GetCacheHits(), CacheMisses: m.GetCacheMisses(),
		CacheBytes: m.GetCacheBytes(), CacheEntries: m.GetCacheEntries(), CacheEvictions: m.GetCacheEvictions(),
		UploadsResumed: m.GetUploadsResumed(), References: m.GetReferences(), ReferenceTime: time.Duration(m.GetReferenceNs()),
	}
}

// close drops the connection.
func (c *Client) close() {
	c.fail(fmt.Errorf("%w: executor %s", transport.ErrClosed, c.cfg.Addr))
	c.done.Wait()
}

// lives reports whether the connection is neither lost nor closed.
func (c *Client) lives() bool {
	select {
	case <-c.dead:
		return false
	default:
		return true
	}
}

// fail ends the connection; every waiting or later call gets err.
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

func (c *Client) describe(doing string, err error) error { return Describe(doing, c.cfg.Addr, err) }

// Describe is a client's error for a failed connection to addr: with the
// address, and with [transport.ErrUnreachable] unless err has another cause. A
// closed connection is not such a cause: if the client has closed it, its
// failure says so; otherwise it broke while another call was writing.
func Describe(doing, addr string, err error) error {
	err = legible(err)
	if _, ok := errors.AsType[*transport.RemoteError](err); ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	for _, cause := range []error{
		transport.ErrProtocol, transport.ErrVersion, transport.ErrCorrupt, transport.ErrLimit,
		transport.ErrUnreachable, transport.ErrUnauthenticated,
	} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%w (%s with %s)", err, doing, addr)
		}
	}
	if errors.Is(err, transport.ErrClosed) {
		return fmt.Errorf("%w: %s with %s: it is broken", transport.ErrUnreachable, doing, addr)
	}
	return fmt.Errorf("%w: %s with %s: %w", transport.ErrUnreachable, doing, addr, err)
}

// legible makes an error's text from a peer printable: gRPC passes on a
// server's text in a status, and certificates contain names.
func legible(err error) error {
	text := err.Error()
	if shown := wire.Printable(text); shown != text {
		return &legibleError{shown, err}
	}
	return err
}

type legibleError struct {
	text string
	err  error
}

func (e *legibleError) Error() string { return e.text }

func (e *legibleError) Unwrap() error { return e.err }
