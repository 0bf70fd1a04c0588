package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// closeTimeout is how long closing a session waits for the worker; the end of
// the connection closes it anyway.
const closeTimeout = 5 * time.Second

// maxReleased bounds the handles that are released again after a connection was
// lost; forgotten ones stay until the session ends.
const maxReleased = 4096

// session implements [transport.Session].
type session struct {
	x     *Executor
	num   uint32
	order chan struct{} // one token: its holder sends

	life context.Context         //nolint:containedctx // ends when the session or its executor is closed
	end  context.CancelCauseFunc // ends it: calls under way are cancelled

	uploading chan struct{} // full while weights are sent

	// Of a session that outlives its connection:
	key    []byte        // its secret
	seq    uint64        // of the last numbered request; guarded by the order token
	joined chan struct{} // one token: its holder may resume the session on a connection

	mu       sync.Mutex
	c        *Client          // connection that the session is on
	lost     error            // why the session is gone
	released []*wirepb.Handle // the worker may not know of these releases
	closed   bool
	advanced bool // a call that was given up had succeeded
	plans    map[plan.Hash]numberedPlan
	lastPlan uint32
	uploaded int // times that weights were sent
	values   map[transport.Handle]keptValue
	profiled map[uint32]*plan.Plan // plans by number of which a run was profiled
}

func newSession(x *Executor, num uint32) *session {
	s := &session{
		x: x, num: num, order: make(chan struct{}, 1), joined: make(chan struct{}, 1), uploading: make(chan struct{}, 1),
		plans: map[plan.Hash]numberedPlan{}, values: map[transport.Handle]keptValue{},
	}
	s.life, s.end = context.WithCancelCause(context.Background())
	s.order <- struct{}{}
	s.joined <- struct{}{}
	return s
}

func (s *session) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.closedError()
	}
	return nil
}

// during is ctx until the session is closed.
func (s *session) during(ctx context.Context) (call context.Context, done func()) {
	call, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })
	return call, func() {
		stop()
		cancel(nil)
	}
}

// closedError is the error of calls after Close, and of those that it cancels.
func (s *session) closedError() error {
	return fmt.Errorf("%w: session on %s", transport.ErrClosed, s.x.cfg.Addr)
}

// Read implements [transport.Session].
func (s *session) Read(ctx context.Context, h transport.Handle) (transport.Tensor, error) {
	return s.read(ctx, h, nil)
}

// ReadInto implements [transport.IntoReader].
func (s *session) ReadInto(ctx context.Context, h transport.Handle, dst []byte) (transport.Tensor, error) {
	if dst == nil {
		dst = []byte{}
	}
	return s.read(ctx, h, dst)
}

// read reads a retained value into dst, or into memory of its own where that is
// nil.
func (s *session) read(ctx context.Context, h transport.Handle, dst []byte) (transport.Tensor, error) {
	if err := s.check(); err != nil {
		return transport.Tensor{}, fmt.Errorf("%w: %w", transport.ErrStaleHandle, err)
	}
	known, ours := s.valueOf(h)
	cause := plan.CauseActivation
	if ours {
		cause = known.cause
		if err := known.fits(dst); err != nil {
			return transport.Tensor{}, err
		}
	}
	var m wirepb.Value
	var t transport.Tensor
	r := &request{
		typ: wire.TypeRead, order: s.order, named: true, answer: &m, cause: cause, into: dst != nil,
		control: &wirepb.Read{Session: s.num, Handle: wire.HandleMessage(h)},
	}
	r.payloadOf = func() ([]wire.Segment, error) {
		if !ours {
			return nil, fmt.Errorf("%w: a value that no run of this session gave", transport.ErrProtocol)
		}
		var err error
		if t, err = known.tensor(&m, s.x.cfg.MaxMessage, dst); err != nil {
			return nil, err
		}
		return []wire.Segment{{Data: t.Data, Cause: r.cause}}, nil
	}
	if err := s.call(ctx, r); err != nil {
		return transport.Tensor{}, err
	}
	return t, nil
}

// keptValue is what is known of a value retained on the worker: it follows from
// the plan and the sizes of its run.
type keptValue struct {
	cause plan.Cause
	dtype plan.DType
	shape []int
}

// tensor takes memory for the value, unless dst is that; the worker's description
// must match.
func (k keptValue) tensor(m *wirepb.Value, limit uint64, dst []byte) (transport.Tensor, error) {
	same := m.GetDtype() == uint32(k.dtype) && len(m.GetShape()) == len(k.shape)
	for i := 0; same && i < len(k.shape); i++ {
		same = m.GetShape()[i] == uint64(k.shape[i])
	}
	if !same {
		return transport.Tensor{}, fmt.Errorf("%w: a value of type %d and %d dimensions, it must be %v%v",
			transport.ErrProtocol, m.GetDtype(), len(m.GetShape()), k.dtype, k.shape)
	}
	n, err := wire.Bytes(k.dtype, k.shape)
	if err != nil {
		return transport.Tensor{}, err
	}
	if n > limit {
		return transport.Tensor{}, fmt.Errorf("%w: value of %d bytes, the limit is %d", transport.ErrLimit, n, limit)
	}
	if dst == nil {
		dst = make([]byte, n)
	}
	return transport.Tensor{DType: k.dtype, Shape: slices.Clone(k.shape), Data: dst}, nil
}

// fits verifies that dst has the value's length, unless it is nil.
func (k keptValue) fits(dst []byte) error {
	n, err := wire.Bytes(k.dtype, k.shape)
	if err == nil && dst != nil && uint64(len(dst)) != n {
		err = fmt.Errorf("%w: a value of %d bytes, its memory has %d", transport.ErrShape, n, len(dst))
	}
	return err
}

// valueOf is what is known of a retained value.
func (s *session) valueOf(h transport.Handle) (keptValue, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.values[h]
	return k, ok
}

// Release implements [transport.Session]. It does not wait for the worker.
func (s *session) Release(ctx context.Context, hs ...transport.Handle) error {
	if err := s.check(); err != nil {
		return err
	}
	const batch = 2048 // the message stays below wire.MaxControl
	for len(hs) > 0 {
		part := hs[:min(batch, len(hs))]
		hs = hs[len(part):]
		m := &wirepb.Release{Session: s.num, Handles: s.forgets(part)}
		err := s.call(ctx, &request{typ: wire.TypeRelease, order: s.order, control: m, oneWay: true})
		if errors.Is(err, transport.ErrSessionLost) {
			return nil // with all its values
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// forgets drops what is known of values, and returns their names on the wire.
func (s *session) forgets(hs []transport.Handle) []*wirepb.Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]*wirepb.Handle, len(hs))
	for i, h := range hs {
		names[i] = wire.HandleMessage(h)
		delete(s.values, h)
	}
	if s.key != nil && len(s.released) < maxReleased {
		s.released = append(s.released, names...)
	}
	return names
}

// Reset implements [transport.Session].
func (s *session) Reset(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	control := &wirepb.Reset{Session: s.num}
	r := &request{typ: wire.TypeReset, order: s.order, control: control, number: func(seq uint64) { control.Seq = seq }}
	if err := s.call(ctx, r); err != nil {
		return err
	}
	s.wasReset()
	return nil
}

// Rewind implements [transport.Rewinder].
func (s *session) Rewind(ctx context.Context, to ...transport.StateLength) error {
	if err := s.check(); err != nil || len(to) == 0 {
		return err
	}
	if err := s.known(); err != nil {
		return err
	}
	if len(to) > plan.MaxStates {
		return fmt.Errorf("%w: %d states to shorten, at most %d", transport.ErrLimit, len(to), plan.MaxStates)
	}
	control := &wirepb.Reset{Session: s.num}
	for _, t := range to {
		control.Rewind = append(control.Rewind, &wirepb.StateLength{Name: t.Name, Length: uint64(max(t.Length, 0))})
	}
	var done wirepb.ResetDone
	r := &request{typ: wire.TypeReset, order: s.order, control: control, answer: &done, number: func(seq uint64) { control.Seq = seq }}
	if err := s.call(ctx, r); err != nil {
		return err
	}
	if !done.GetRewound() {
		s.wasReset()
		return fmt.Errorf("%w: the worker cannot shorten carried state, and has forgotten it", transport.ErrState)
	}
	return nil
}

func (s *session) wasReset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advanced = false
}

// Close implements [transport.Session]: calls under way are cancelled, here at
// once and on the worker. A lost connection is no error: the worker closes the
// session by itself.
func (s *session) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	c := s.c
	s.mu.Unlock()
	s.end(s.closedError())
	s.x.forget(s)
	if closed || c == nil || !c.lives() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	r := &request{typ: wire.TypeCloseSession, control: &wirepb.CloseSession{Session: s.num}}
	if s.key == nil {
		r.order = s.order // after what was sent before; it does not wait for answers
	}
	if err := c.call(ctx, r); err != nil && c.lives() {
		return err
	}
	return nil
}
