package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// cancelWait is how long a cancelled call waits for the worker to report
// whether it was stopped or had already succeeded.
const cancelWait = 500 * time.Millisecond

// request is one call to the worker.
type request struct {
	typ     wire.Type
	control proto.Message
	payload []wire.Segment
	sent    func(n int)
	order   chan struct{}    // token of the session, which sends its requests in order
	number  func(seq uint64) // gives the request its number in the session; nil for none
	again   func()           // called before the request is retried; may be nil
	named   bool             // it names retained values
	oneWay  bool             // there is no answer
	into    bool             // the payload of the answer goes to memory of the caller, see [answering]

	// The receiving goroutine fills answer, then asks payloadOf for the memory
	// of the payload; cause is what a discarded payload counts as.
	answer    proto.Message
	payloadOf func() ([]wire.Segment, error)
	cause     plan.Cause
	// late is called with the outcome of a call whose caller has gone.
	late func(err error)

	loop   *runs                  // takes the frames of an answer one by one; nil for other calls
	on     atomic.Pointer[Client] // connection of the last attempt
	stream atomic.Uint64
}

// pending is a request that waits for its answer. The receiving goroutine owns
// its fields, except those guarded by the client's lock.
type pending struct {
	*request
	done  chan error              // takes the result
	early context.CancelCauseFunc // stops an upload that is answered before its end; may be nil
	began bool
	sink  *wire.Sink
	bad   error

	filling answering

	gone bool // guarded by the client's lock: done is no longer read
}

var errAnswered = errors.New("answered before the end of the upload")

// once sends a request and waits for the answer.
func (c *Client) once(ctx context.Context, r *request) (failed error) {
	if n := wire.Len(r.payload); n > c.cfg.MaxMessage {
		return fmt.Errorf("%w: message of %d bytes, the limit is %d", transport.ErrLimit, n, c.cfg.MaxMessage)
	}
	if err := c.inOrder(ctx, r); err != nil {
		return err
	}
	release := sync.OnceFunc(r.release)
	defer release()
	tellDeadline(ctx, r.control)
	p, stream, err := c.register(r)
	if err != nil {
		return err
	}
	if r.into {
		p.filling = newAnswering()
		defer c.keepOut(p, &failed)
	}
	sendCtx := ctx
	if wire.Len(r.payload) > wire.ChunkSize {
		sendCtx, p.early = context.WithCancelCause(ctx)
		defer p.early(nil)
	}
	c.mu.Lock()
	c.streams[stream] = p
	c.mu.Unlock()
	if p.early != nil || r.loop != nil { // an answer may come before the caller can read it
		c.reading.ask()
	}
	c.carry(ctx, r.control)
	m := wire.Message{Type: r.typ, Stream: stream, Control: r.control, Payload: r.payload, Sent: r.sent}
	if !r.oneWay { // before the answer can arrive, whose reader may look at the ledger
		c.cfg.Ledger.AddRoundTrips(1)
	}
	started, err := c.conn.Send(sendCtx, &m)
	release()
	switch {
	case errors.Is(err, memory.ErrFault):
		return c.withdraw(ctx, p, stream, started, err)
	case err == nil && r.oneWay:
		c.forget(stream)
		return nil
	case err == nil:
		return c.wait(ctx, p, stream)
	case !started:
		if !r.oneWay {
			c.cfg.Ledger.AddRoundTrips(-1)
		}
		c.forget(stream)
		return c.sendFailure(ctx, r, err)
	}
	// The worker has a part of the message: unless the connection is broken,
	// tell it that the rest will not follow.
	if errors.Is(err, errAnswered) {
		c.sendCancel(stream)
		return <-p.done
	}
	if ctx.Err() == nil {
		c.forget(stream)
		return c.sendFailure(ctx, r, err)
	}
	return c.abandon(ctx, p, stream)
}

// inOrder waits until the requests before r have been sent.
func (c *Client) inOrder(ctx context.Context, r *request) error {
	if r.order == nil {
		return nil
	}
	select {
	case <-r.order:
		return nil
	case <-ctx.Done():
		return c.cancelled(ctx, r)
	case <-c.dead:
		return c.failure()
	}
}

// withdraw ends a call whose payload could not be read. The connection stays
// usable.
func (c *Client) withdraw(ctx context.Context, p *pending, stream uint64, started bool, err error) error {
	if started {
		_ = c.abandon(ctx, p, stream)
		return err
	}
	if !p.oneWay {
		c.cfg.Ledger.AddRoundTrips(-1)
	}
	c.forget(stream)
	return err
}

func (r *request) release() {
	if r.order != nil {
		r.order <- struct{}{}
	}
}

func (c *Client) register(r *request) (*pending, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, 0, c.err
	}
	if len(c.streams) >= wire.MaxStreams/2 { // half: the worker forgets a little later
		return nil, 0, fmt.Errorf("%w: %d calls wait on %s", transport.ErrLimit, len(c.streams), c.cfg.Addr)
	}
	c.lastCall++
	r.stream.Store(c.lastCall)
	return &pending{request: r, done: make(chan error, 1)}, c.lastCall, nil
}

func (c *Client) forget(stream uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.streams, stream)
}

// sendFailure is the error of a call that was not sent.
func (c *Client) sendFailure(ctx context.Context, r *request, err error) error {
	if ctx.Err() != nil {
		return c.cancelled(ctx, r)
	}
	if errors.Is(err, transport.ErrLimit) || errors.Is(err, transport.ErrInternal) {
		return err
	}
	c.fail(c.describe("connection", err))
	return c.failure()
}

// wait takes the result.
func (c *Client) wait(ctx context.Context, p *pending, stream uint64) error {
	if p.loop == nil {
		c.read(ctx, p)
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return c.abandon(ctx, p, stream)
	case <-c.dead:
		return c.lost(p)
	}
}

// lost prefers an answer that arrived before the connection failed.
func (c *Client) lost(p *pending) error {
	select {
	case err := <-p.done:
		return err
	default:
		return c.failure()
	}
}

// abandon cancels a call on the worker. If the worker reports in time that the
// call had succeeded, it has; otherwise the answer is discarded when it
// arrives.
func (c *Client) abandon(ctx context.Context, p *pending, stream uint64) error {
	c.sendCancel(stream)
	t := time.NewTimer(cancelWait)
	defer t.Stop()
	select {
	case err := <-p.done:
		return c.verdict(ctx, p, err)
	case <-c.dead:
		return c.cancelled(ctx, p.request)
	case <-t.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock() // finish sends to done under this lock
	select {
	case err := <-p.done:
		return c.verdict(ctx, p, err)
	default:
		p.gone = true
		return c.cancelled(ctx, p.request)
	}
}

func (c *Client) verdict(ctx context.Context, p *pending, err error) error {
	if err == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return c.cancelled(ctx, p.request)
}

// sendCancel tells the worker to stop. It does not wait for a peer that does
// not read.
func (c *Client) sendCancel(stream uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelWait)
	defer cancel()
	_, _ = c.conn.Send(ctx, &wire.Message{Type: wire.TypeCancel, Stream: stream})
}

func (c *Client) cancelled(ctx context.Context, r *request) error {
	return fmt.Errorf("%v on %s: %w", r.typ, c.cfg.Addr, ctxError(ctx))
}

// ctxError gives both the end of ctx and its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

func (c *Client) remoteError(control []byte) error {
	var m wirepb.Error
	if err := proto.Unmarshal(control, &m); err != nil {
		return fmt.Errorf("%w: %w", transport.ErrProtocol, err)
	}
	err := &transport.RemoteError{Code: m.GetCode(), Message: wire.Words(m.GetMessage()), Addr: c.cfg.Addr, Detail: detail(&m)}
	if !errors.Is(err, transport.ErrOverloaded) {
		return err
	}
	const most = uint32(longestPause / time.Millisecond)
	return &transport.OverloadError{RetryAfter: time.Duration(min(m.GetRetryAfterMs(), most)) * time.Millisecond, Err: err}
}
