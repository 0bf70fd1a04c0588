package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/connlimit"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// goodbye is how long a refused connection may take to read the reason.
const goodbye = 500 * time.Millisecond

// conn is one connection.
type conn struct {
	s    *Server
	id   uint64 // in log lines and traces
	wc   *wire.Conn
	log  *slog.Logger
	pipe wire.Pipe

	peer    string // address
	guest   *connlimit.Guest
	alone   bool                                   // the guest has no other stream
	known   bool                                   // the guest was admitted for this connection
	begin   func(context.Context) (subject, error) // TLS; nil when that is done
	subject subject
	tenant  *tenant // the client; nil before the handshake

	ctx    context.Context // ends with the connection
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	draining bool
	streams  map[uint64]*stream
	sessions map[uint32]*session
	inParts  map[*stream]struct{} // messages in parts; the receiving goroutine owns it
	idle     chan struct{}        // closed and replaced by drain when streams is empty
	wg       sync.WaitGroup       // requests that wait or run in sessions, and uploads
	cost     int64                // bytes of its buffers
	paid     bool                 // from the worker's memory budget
	readers  readers              // whether the client reads its answers
	slots    int64                // requests that its tenant has paid for; the receiving goroutine owns it
	silent   atomic.Int64         // how long the client had been silent when it was given up
	wait     func()               // ends the watch of the client's heartbeats
	receiver receiver
	nonce    [wire.NonceLen]byte // that a sender on this connection signs
	features wire.Features       // the client's
}

func newConn(s *Server, pipe wire.Pipe, peer string) *conn {
	c := &conn{
		s: s, pipe: pipe, peer: peer, wc: wire.NewConn(pipe, &s.meter.Ledger), id: s.lastConn.Add(1),
		streams: map[uint64]*stream{}, sessions: map[uint32]*session{}, inParts: map[*stream]struct{}{}, cost: connBytes,
		wait: nothing,
	}
	c.log = s.opts.Log.With("connection", c.id, "peer", peer)
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	_, _ = rand.Read(c.nonce[:]) // never fails
	return c
}

// serve begins the connection and receives until it ends, or until another
// goroutine has taken that over.
func (c *conn) serve() {
	c.attend(func() error {
		every, err := c.handshake()
		if err != nil {
			return err
		}
		c.wait = c.beat(every)
		return c.receive()
	})
}

// attend receives until the connection ends and then frees all it held, unless
// another goroutine has taken receiving over, and with it the connection's end.
func (c *conn) attend(receive func() error) {
	mine := true
	defer func() {
		if mine {
			c.end()
		}
	}()
	defer c.s.guard(c.log)
	err := receive()
	if errors.Is(err, errTakenOver) {
		mine = false
		return
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, transport.ErrClosed), c.ctx.Err() != nil, status.Code(err) == codes.Canceled, c.guest.Evicted():
		c.log.Debug("connection ended", "error", err)
	default:
		c.log.Warn("connection ended", "error", err)
	}
	c.refuse(err)
}

// errTakenOver ends a goroutine that no longer receives.
var errTakenOver = errors.New("genie: another goroutine receives")

// end frees the resources of a connection and removes it from the server's.
func (c *conn) end() {
	defer c.s.dropConn(c)
	defer c.unpay()
	defer func() { c.wait() }()
	c.free()
}

// free frees the resources of an ended connection.
func (c *conn) free() {
	c.close()
	streams, sessions := c.leftOver()
	for _, st := range streams {
		st.drop()
	}
	c.wg.Wait()
	c.s.leave(sessions, c.hold())
}

// leftOver takes the resources of a connection at its end.
func (c *conn) leftOver() (streams []*stream, sessions map[uint32]*session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, st := range c.streams {
		streams = append(streams, st)
	}
	sessions, c.sessions = c.sessions, map[uint32]*session{}
	return streams, sessions
}

// close ends the connection; serve then frees its resources.
func (c *conn) close() {
	c.cancel(fmt.Errorf("%w: connection", context.Canceled))
	_ = c.wc.Close()
}

// handshake exchanges Hellos; every is the interval in which the client expects
// a message.
func (c *conn) handshake() (every time.Duration, err error) {
	late := time.AfterFunc(c.s.opts.handshake, c.close)
	defer late.Stop()
	if err := c.pay(); err != nil {
		return 0, err
	}
	if c.begin != nil {
		if c.subject, err = c.begin(c.ctx); err != nil {
			return 0, err
		}
	}
	c.wc.LimitControl(wire.MaxHello)
	h, control, err := c.wc.Next()
	if err != nil {
		return 0, err
	}
	if h.Type != wire.TypeHello || h.Payload != 0 || h.Stream != 0 {
		return 0, fmt.Errorf("%w: %v instead of Hello", transport.ErrProtocol, h.Type)
	}
	var m wirepb.Hello
	if err := proto.Unmarshal(control, &m); err != nil {
		return 0, fmt.Errorf("%w: bad Hello", transport.ErrProtocol)
	}
	if m.GetVersion() != wire.Version {
		return 0, fmt.Errorf("%w: the client speaks version %d, the worker %d", transport.ErrVersion, m.GetVersion(), wire.Version)
	}
	if err := c.identify(m.GetToken()); err != nil {
		return 0, err
	}
	c.wc.LimitControl(wire.MaxControl)
	c.features = wire.Features(m.GetFeatures())
	return wire.EveryMillis(m.GetHeartbeatMs()), c.send(&wire.Message{Type: wire.TypeHello, Flags: wire.FlagAnswer, Control: &wirepb.Hello{
		Version: wire.Version, Epoch: c.s.opts.Engine.Epoch(), Pid: uint32(os.Getpid()),
		Cpu:             c.s.opts.Engine.Stats().CPU,
		MaxFramePayload: wire.MaxFramePayload, MaxMessagePayload: c.s.opts.MaxMessage,
		HeartbeatMs: wire.HeartbeatMillis(c.s.opts.Silence),
		Features:    uint64(c.s.features()), Peer: c.s.peer(), Nonce: c.nonce[:],
	}})
}

// refuse tells a peer why the connection ends, if it still reads, and reads on
// a little so that the answer is not lost to a reset.
func (c *conn) refuse(err error) {
	if !tellsPeer(err) || c.ctx.Err() != nil {
		return
	}
	timer := time.AfterFunc(goodbye, c.close)
	defer timer.Stop()
	foreign, ok := errors.AsType[*wire.NotGenieError](err)
	if ok {
		if !foreign.HTTP() && !foreign.TLS() {
			return
		}
	}
	if foreign != nil && foreign.HTTP() {
		_, err = c.pipe.WriteBuffers([][]byte{[]byte(httpAnswer)}, nil)
	} else {
		err = c.send(&wire.Message{Type: wire.TypeError, Flags: wire.FlagAnswer, Control: errorMessage(err)})
	}
	if err == nil {
		_, _ = io.CopyN(io.Discard, c.pipe, 1<<20)
	}
}

// httpAnswer is what an HTTP client gets on the port of this protocol.
const httpAnswer = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n" +
	"Content-Length: 54\r\n\r\nThis port speaks the genie wire protocol, not HTTP/1.\r\n"

func tellsPeer(err error) bool {
	for _, cause := range []error{
		transport.ErrProtocol, transport.ErrVersion, transport.ErrLimit, transport.ErrCorrupt, transport.ErrUnauthenticated,
		transport.ErrMemory, transport.ErrQuota,
	} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// send sends a message of the worker, until the connection ends.
func (c *conn) send(m *wire.Message) error {
	c.readers.begins(c)
	defer c.readers.ends()
	_, err := c.wc.Send(c.ctx, m)
	return err
}

// receive takes frames until framing is lost or the connection is, or until
// another goroutine does.
func (c *conn) receive() error {
	for {
		h, control, err := c.wc.Next()
		if err != nil {
			return err
		}
		c.impatient()
		st, err := c.frame(h, control)
		if err != nil {
			return err
		}
		var sink *wire.Sink
		if st != nil {
			sink = st.into(h)
		}
		bad, err := c.wc.ReadPayload(h, sink, plan.CauseControl)
		if err != nil {
			return err
		}
		if st == nil {
			continue
		}
		if t := st.received(h, bad); t != nil && !c.runHere(t) {
			return errTakenOver
		}
	}
}

// frame finds or begins the stream of a frame. The payload for a nil stream is
// discarded. An error is the connection's.
func (c *conn) frame(h wire.Header, control []byte) (*stream, error) {
	c.mu.Lock()
	st := c.streams[h.Stream]
	c.mu.Unlock()
	switch {
	case h.Type == wire.TypeCancel:
		if st != nil {
			st.cancelled()
		}
		return nil, nil //nolint:nilnil // nothing to do for its payload
	case h.Type == wire.TypePing && h.Stream == 0:
		return nil, nil //nolint:nilnil // that it came is all it says
	case h.Type == wire.TypeCredit && h.Stream != 0:
		return nil, c.credit(st, control)
	case h.Type == wire.TypeData && h.Stream != 0:
		if st == nil || !st.receiving {
			c.answerError(h.Stream, fmt.Errorf("%w: Data for no message", transport.ErrProtocol))
			return nil, nil //nolint:nilnil // its payload is discarded
		}
		return st, nil
	case h.Stream == 0 || st != nil || h.Flags&wire.FlagAnswer != 0:
		return nil, fmt.Errorf("%w: %v on stream %d", transport.ErrProtocol, h.Type, h.Stream)
	}
	st = c.newStream(h)
	st.arrived(control)
	if err := c.admit(st); err != nil {
		st.fail(err)
		return st, nil
	}
	st.begin(h, control)
	if time.Since(st.seen.begun) >= receiverTurn {
		runtime.Gosched()
	}
	return st, nil
}

// receiverTurn is how long a connection's requests may be read before other
// ready goroutines go first. A connection whose requests arrive fast enough
// would otherwise continue until the runtime preempts it, which takes 10 ms:
// with many such connections the others would wait for all of them.
const receiverTurn = 100 * time.Microsecond

// admit registers a stream.
func (c *conn) admit(st *stream) error {
	paid := c.paySlot()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.streams)
	c.streams[st.id] = st
	if paid != nil {
		return paid
	}
	if c.draining {
		return errDraining
	}
	if n >= wire.MaxStreams && st.typ != wire.TypeRelease { // which does not wait
		return fmt.Errorf("%w: %d requests wait on this connection", transport.ErrLimit, n)
	}
	return nil
}

// forget removes a stream that is answered and completely received.
func (c *conn) forget(st *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[st.id] == st {
		delete(c.streams, st.id)
	}
	if c.idle != nil && len(c.streams) == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// refuseMore refuses new requests.
func (c *conn) refuseMore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
}

// answerError sends an error on a stream.
func (c *conn) answerError(stream uint64, err error) {
	_ = c.send(&wire.Message{Type: wire.TypeError, Flags: wire.FlagAnswer, Stream: stream, Control: errorMessage(err)})
}
