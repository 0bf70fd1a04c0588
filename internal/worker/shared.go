package worker

import (
	"github.com/genie-sdk/go/internal/shared"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

const (
	// memoryPart is the part of the worker's memory limit that one ring of a
	// connection may take: one in.
	memoryPart = 2048
	// quotaPart is the part of an identity's free quota that the memory of one
	// connection may take: one in.
	quotaPart = 64
)

// shareMemory takes a client's offer to share memory, where both are of one user
// on this machine and there is memory for it. It returns what proves to the
// client that this process maps the memory; nil for none. What goes wrong leaves
// the connection as it was: payloads go through the socket.
func (c *conn) shareMemory(m *wirepb.Hello) (proof []byte) {
	n := c.s.ring()
	if n == 0 || m.GetMemorySocket() == "" || m.GetMemoryFrom() != c.peer {
		return nil
	}
	cost := shared.Size(n)
	if err := c.tenant.bytes.check(quotaPart * cost); err != nil {
		return nil // of a small quota, a connection takes nothing that it can do without
	}
	if err := c.s.charge(c.tenant, cost, "memory shared with a client"); err != nil {
		return nil
	}
	mem, proof, err := shared.Present(c.ctx, m.GetMemorySocket(), n)
	if err != nil {
		c.s.uncharge(c.tenant, cost)
		c.log.Debug("no shared memory", "error", err)
		return nil
	}
	c.lent = cost
	c.wc.Share(mem)
	c.log.Debug("large payloads go through shared memory", "bytes", mem.Bytes())
	return proof
}

// ring is the size of a connection's ring; 0 for none.
func (s *Server) ring() int {
	if s.opts.NoSharedMemory {
		return 0
	}
	limit := s.opts.Engine.Memory().Limit()
	if limit == 0 {
		return shared.DefaultRing
	}
	n := shared.DefaultRing
	for ; int64(n) > limit/memoryPart; n /= 2 {
		if n == shared.MinRing {
			return 0
		}
	}
	return n
}
