package remote

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// closeTimeout is how long closing a session waits for the worker; the
// connection's end closes it anyway.
const closeTimeout = 5 * time.Second

// session implements [transport.Session].
type session struct {
	c     *Client
	num   uint32
	order chan struct{} // one token: who has it sends

	uploading chan struct{} // full while weights are sent

	mu       sync.Mutex
	closed   bool
	advanced bool // a call that was given up had succeeded
	plans    map[plan.Hash]*planRef
	lastPlan uint32
	uploaded int                   // times that weights were sent
	causes   map[uint64]plan.Cause // what kept values count as when they are read
}

func newSession(c *Client, num uint32) *session {
	s := &session{
		c: c, num: num, order: make(chan struct{}, 1), uploading: make(chan struct{}, 1),
		plans: map[plan.Hash]*planRef{}, causes: map[uint64]plan.Cause{},
	}
	s.order <- struct{}{}
	return s
}

func (s *session) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%w: session on %s", transport.ErrClosed, s.c.cfg.Addr)
	}
	return nil
}

// Read implements [transport.Session].
func (s *session) Read(ctx context.Context, h transport.Handle) (transport.Tensor, error) {
	if err := s.check(); err != nil {
		return transport.Tensor{}, err
	}
	var m wirepb.Value
	var t transport.Tensor
	r := &request{
		typ: wire.TypeRead, order: s.order, answer: &m, cause: s.causeOf(h),
		control: &wirepb.Read{Session: s.num, Handle: wire.HandleMessage(h)},
	}
	r.payloadOf = func() ([]wire.Segment, error) {
		var err error
		if t, err = readTensor(&m, s.c.cfg.MaxMessage); err != nil {
			return nil, err
		}
		return []wire.Segment{{Data: t.Data, Cause: r.cause}}, nil
	}
	if err := s.c.call(ctx, r); err != nil {
		return transport.Tensor{}, err
	}
	return t, nil
}

// readTensor takes memory for a value that a worker describes.
func readTensor(m *wirepb.Value, limit uint64) (transport.Tensor, error) {
	t := transport.Tensor{DType: plan.DType(m.GetDtype())}
	if m.GetDtype() > 255 || !t.DType.Valid() || len(m.GetShape()) > plan.MaxRank {
		return t, fmt.Errorf("%w: a value of dtype %d and rank %d", transport.ErrProtocol, m.GetDtype(), len(m.GetShape()))
	}
	t.Shape = make([]int, len(m.GetShape()))
	for i, d := range m.GetShape() {
		if d > plan.MaxDimSize {
			return t, fmt.Errorf("%w: dimension %d", transport.ErrLimit, d)
		}
		t.Shape[i] = int(d)
	}
	n, err := wire.Bytes(t.DType, t.Shape)
	if err != nil {
		return t, err
	}
	if n > limit {
		return t, fmt.Errorf("%w: value of %d bytes, the limit is %d", transport.ErrLimit, n, limit)
	}
	t.Data = make([]byte, n)
	return t, nil
}

func (s *session) causeOf(h transport.Handle) plan.Cause {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.causes[h.ID]; ok {
		return c
	}
	return plan.CauseActivation
}

// Release implements [transport.Session]. It does not wait for the worker.
func (s *session) Release(ctx context.Context, hs ...transport.Handle) error {
	if err := s.check(); err != nil {
		return err
	}
	const batch = 2048 // keeps the message below wire.MaxControl
	for len(hs) > 0 {
		part := hs[:min(batch, len(hs))]
		hs = hs[len(part):]
		m := &wirepb.Release{Session: s.num, Handles: make([]*wirepb.Handle, len(part))}
		s.mu.Lock()
		for i, h := range part {
			m.Handles[i] = wire.HandleMessage(h)
			delete(s.causes, h.ID)
		}
		s.mu.Unlock()
		if err := s.c.call(ctx, &request{typ: wire.TypeRelease, order: s.order, control: m, oneWay: true}); err != nil {
			return err
		}
	}
	return nil
}

// Reset implements [transport.Session].
func (s *session) Reset(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	r := &request{typ: wire.TypeReset, order: s.order, control: &wirepb.Reset{Session: s.num}}
	if err := s.c.call(ctx, r); err != nil {
		return err
	}
	s.wasReset()
	return nil
}

func (s *session) wasReset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advanced = false
}

// Close implements [transport.Session]. A lost connection is no error: the
// worker closes the session by itself.
func (s *session) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.c.call(ctx, &request{
		typ: wire.TypeCloseSession, order: s.order, control: &wirepb.CloseSession{Session: s.num},
	})
	select {
	case <-s.c.dead:
		return nil
	default:
		return err
	}
}
