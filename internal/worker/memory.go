package worker

import (
	"github.com/genie-sdk/go/internal/budget"
)

// Memory on the Go heap for one object of each kind, in bytes, stacks of
// goroutines included.
const (
	connBytes     = 96 << 10 // a connection with its buffers
	sessionBytes  = 32 << 10
	preparedBytes = 1 << 10 // a plan of a session
	streamBytes   = 4 << 10 // a request
	uploadBytes   = 24 << 10
	inputBytes    = 128 // of an input of a call, regardless of its size
	controlFactor = 8   // a decoded control message takes so many times its length
)

// charge takes n bytes of the Go heap from an identity's quota and from the
// worker's memory budget. It must be called without a lock: room may have to be
// made.
func (s *Server) charge(t *tenant, n int64, purpose string) error {
	if err := t.bytes.take(n); err != nil {
		return err
	}
	taken := false
	defer func() {
		if !taken {
			t.bytes.give(n)
		}
	}()
	if err := s.opts.Engine.Memory().Reserve(budget.Buffers, n, purpose); err != nil {
		return err
	}
	taken = true
	return nil
}

// uncharge gives back the memory of charge.
func (s *Server) uncharge(t *tenant, n int64) {
	if n != 0 {
		s.opts.Engine.Memory().Release(budget.Buffers, n)
		t.bytes.give(n)
	}
}

// pay takes the memory of a connection. Its tenant is charged as soon as it is
// known.
func (c *conn) pay() error {
	err := c.s.opts.Engine.Memory().Reserve(budget.Buffers, c.cost, "a connection")
	c.paid = err == nil
	return err
}

// toll is the tenant's part: a client does not choose the window of a gRPC
// connection.
func (c *conn) toll() int64 { return min(c.cost, 1<<20) }

// unpay gives back the connection's own memory.
func (c *conn) unpay() {
	if c.paid {
		c.s.opts.Engine.Memory().Release(budget.Buffers, c.cost)
	}
	if c.tenant != nil {
		c.tenant.bytes.give(c.toll())
		c.s.uncharge(c.tenant, c.slots*streamBytes+c.lent)
	}
}

// slotsAtOnce is how many requests a connection takes memory for at a time. It
// retains that memory, because the number of requests changes all the time.
const slotsAtOnce = 8

// paySlot takes memory for one more request, unless there were as many before.
func (c *conn) paySlot() error {
	if c.requests() < c.slots {
		return nil
	}
	if err := c.s.charge(c.tenant, slotsAtOnce*streamBytes, "a request"); err != nil {
		return err
	}
	c.slots += slotsAtOnce
	return nil
}

// requests is the number of requests.
func (c *conn) requests() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(len(c.streams))
}

// stage is memory to receive into, charged to the session's tenant.
func (s *session) stage(n uint64) ([]byte, error) {
	n = pages(n)
	if err := s.tenant.bytes.take(int64(n)); err != nil {
		return nil, err
	}
	b, err := s.srv.staging.get(n)
	if err != nil {
		s.tenant.bytes.give(int64(n))
	}
	return b, err
}

// extend makes memory of stage at least n bytes long, which is more. When it
// fails, b is unchanged.
func (s *session) extend(b []byte, n uint64) ([]byte, error) {
	more := int64(pages(n)) - int64(len(b))
	if err := s.tenant.bytes.take(more); err != nil {
		return b, err
	}
	grown, err := s.srv.staging.grow(b, n)
	if err != nil {
		s.tenant.bytes.give(more)
	}
	return grown, err
}

// unstage gives back the memory of stage and extend.
func (s *session) unstage(b []byte) {
	if b != nil {
		s.tenant.bytes.give(int64(len(b)))
		s.srv.staging.put(b)
	}
}
