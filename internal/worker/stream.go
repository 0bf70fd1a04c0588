package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// stream is one request, from its first frame to its answer.
type stream struct {
	c      *conn
	id     uint64
	typ    wire.Type
	ctx    context.Context
	cancel context.CancelCauseFunc

	// Owned by the receiving goroutine:
	receiving bool             // the message is unfinished
	arrival   *arrival         // takes the payload
	complete  func(mem []byte) // called when everything has arrived
	upload    *upload          // takes the payload of a weight piece by piece
	delivery  *delivery        // takes that of a value from another worker
	progress  *progress        // of a message in parts
	task      *task

	repeat *repetition // of a loop; nil for other requests
	seen   observed

	mu      sync.Mutex
	settled bool // answered, or passed to a session that will answer
	began   bool // its session does it
}

// task is the work of a request, done when the whole message has arrived.
type task struct {
	st *stream
	// do answers. The payload is sent before done is called.
	do func(ctx context.Context) (answer, error)
	// first is done in the session's turn; do then runs beside the later requests
	// of the session. nil for most.
	first func(ctx context.Context) error
	// free frees the resources of the request; it is called once.
	free     func()
	session  *session     // session whose turn it needs; nil to be done at once
	call     *call        // what to run, if anything; it takes a place in the worker's queue
	prepare  *preparation // what to prepare, likewise
	seq      uint64       // its number in the session; 0 for none
	begun    func() bool  // for a request that can be partly done; whether it was
	noAnswer bool
	answered bool // its answer has been sent, except for an error
}

// answer is a control message and a payload that is valid until done.
type answer struct {
	control proto.Message
	payload []wire.Segment
	done    func()
}

func (c *conn) newStream(h wire.Header) *stream {
	st := &stream{c: c, id: h.Stream, typ: h.Type, receiving: true}
	st.ctx, st.cancel = context.WithCancelCause(c.ctx)
	st.seen.begun = time.Now()
	return st
}

// begin reads the control message and takes memory for the payload.
func (st *stream) begin(h wire.Header, control []byte) {
	defer func() {
		if r := recover(); r != nil {
			st.fail(st.panicked(r))
		}
	}()
	t, err := st.request(h, control)
	if err != nil {
		st.fail(err)
		return
	}
	t.st = st
	st.task = t
}

// into is the memory for the payload of the next frame; nil to discard it.
func (st *stream) into(h wire.Header) *wire.Sink {
	if st.task == nil || h.Payload == 0 {
		return nil
	}
	var sink *wire.Sink
	var err error
	switch {
	case st.upload != nil:
		sink, err = st.upload.into(h.Payload)
	case st.delivery != nil:
		sink, err = st.delivery.into(h.Payload)
	case st.arrival != nil:
		sink, err = st.arrival.into(h.Payload)
	}
	if err != nil {
		st.fail(err)
	}
	return sink
}

// received continues after the payload of a frame. Its result is for the
// goroutine that received it to call, nil for nothing.
func (st *stream) received(h wire.Header, bad error) *task {
	if st.task != nil && bad != nil {
		st.fail(bad)
	}
	if st.upload != nil && st.task != nil && h.Payload > 0 {
		st.upload.received()
	}
	if st.delivery != nil && st.task != nil {
		if err := st.delivery.received(); err != nil {
			st.fail(err)
		}
	}
	st.c.brought(st, h.Payload, h.More())
	if h.More() {
		return nil
	}
	st.receiving = false
	if st.task == nil {
		st.c.forget(st)
		return nil
	}
	if a := st.arrival; a != nil {
		if left := a.want - a.got; left > 0 {
			st.fail(fmt.Errorf("%w: %v ends %d bytes early", transport.ErrProtocol, st.typ, left))
			st.c.forget(st)
			return nil
		}
		st.complete(a.mem)
	}
	return st.enqueue()
}

// enqueue passes the request, which is complete, to its session, or returns it
// if it is to be done here.
func (st *stream) enqueue() (here *task) {
	t := st.task
	switch {
	case st.upload != nil:
		st.upload.end(t)
	case st.delivery != nil:
		st.arrives(t)
	case t.session == nil:
		t.run()
	default:
		st.waits()
		if st.hand(t) {
			return t
		}
	}
	return nil
}

// hand queues the task in its session, which then answers, or reports that it is
// to be done here; where neither is possible the request fails here.
func (st *stream) hand(t *task) (here bool) {
	st.c.wg.Add(1)
	var err error
	defer func() {
		if r := recover(); r != nil {
			err = st.panicked(r)
		}
		if err != nil {
			st.c.wg.Done()
			st.leaves()
			st.fail(err)
			st.c.forget(st)
		}
	}()
	here, err = t.wait()
	return here
}

// wait queues the task, or says why it may not wait, unless it need not.
func (t *task) wait() (here bool, err error) {
	switch {
	case t.call != nil:
		err = t.session.place(t.call)
	case t.prepare != nil:
		err = t.session.placeOf(t.prepare)
	}
	if err != nil {
		return false, err
	}
	return t.session.enqueue(t)
}

// fail answers with err, once, and discards the rest.
func (st *stream) fail(err error) {
	if t := st.task; t != nil {
		st.task, st.arrival, st.complete = nil, nil, nil
		delete(st.c.inParts, st)
		if st.upload != nil {
			st.upload.abort()
			st.upload = nil
		}
		t.free()
	}
	st.cancel(nil)
	if !st.settle() {
		return
	}
	if st.typ != wire.TypeRelease {
		st.c.answerError(st.id, err)
	}
	st.ends(err)
}

func (st *stream) settle() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	first := !st.settled
	st.settled = true
	return first
}

// cancelled stops the request in any state.
func (st *stream) cancelled() {
	err := fmt.Errorf("genie: stopped by the client: %w", context.Canceled)
	if st.receiving {
		st.receiving = false
		st.fail(err)
		st.c.forget(st)
		return
	}
	st.cancel(err)
	if st.waiting() && st.settleBefore() { // its client need not wait for its turn to learn that it has none
		st.c.answerError(st.id, err)
	}
}

// waiting reports whether the request is in its session's queue, or was.
func (st *stream) waiting() bool { return st.task != nil && st.task.session != nil && st.upload == nil }

// settleBefore settles a request that has not begun.
func (st *stream) settleBefore() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	first := !st.settled && !st.began
	st.settled = st.settled || first
	return first
}

func (st *stream) begins() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.began = true
}

// drop frees a request that has not arrived completely when the connection
// ends.
func (st *stream) drop() {
	defer st.c.s.guard(st.c.log)
	if !st.receiving || st.task == nil {
		return
	}
	if st.upload != nil {
		st.upload.abort()
	}
	st.task.free()
	st.task = nil
	if st.settle() {
		st.ends(fmt.Errorf("%w: connection", transport.ErrClosed))
	}
}

// run does the task and answers.
func (t *task) run() {
	st := t.st
	var a answer
	var err error
	defer st.c.forget(st) // each of these, even if another panics
	defer st.cancel(nil)
	defer t.free()
	defer func() {
		if a.done != nil {
			a.done()
		}
	}()
	defer func() { st.ends(err) }()
	defer func() {
		if r := recover(); r != nil {
			err = st.panicked(r)
			if st.settle() && !t.noAnswer {
				st.c.answerError(st.id, err)
			}
		}
	}()
	st.begins()
	st.starts()
	if a, err = t.attempt(); err != nil {
		err = st.failed(err)
	}
	st.sends(err)
	switch {
	case !st.settle():
	case err != nil:
		if !t.noAnswer {
			st.c.answerError(st.id, err)
		}
	case !t.noAnswer && !t.answered:
		err := st.c.send(&wire.Message{
			Type: st.typ, Flags: wire.FlagAnswer, Stream: st.id, Control: a.control, Payload: a.payload,
		})
		if err != nil && st.c.ctx.Err() == nil {
			st.logger().Debug("answer not sent", "error", err)
			if errors.Is(err, transport.ErrLimit) {
				st.c.answerError(st.id, err)
			}
		}
	}
}

// prepares does the task's first part; its failure is the task's.
func (t *task) prepares() {
	err := t.holds()
	if err == nil {
		return
	}
	t.do = func(context.Context) (answer, error) { return answer{}, err }
}

func (t *task) holds() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = t.st.panicked(r)
		}
	}()
	return t.first(t.st.ctx)
}

// attempt does the task; a panic is an error.
func (t *task) attempt() (a answer, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = t.st.panicked(r)
		}
	}()
	if err := t.st.ctx.Err(); err != nil {
		return answer{}, fmt.Errorf("genie: stopped before it began: %w", context.Cause(t.st.ctx))
	}
	if t.seq != 0 {
		return t.once(t.st.ctx)
	}
	return t.do(t.st.ctx)
}
