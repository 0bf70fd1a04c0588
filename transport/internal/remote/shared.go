package remote

import (
	"github.com/genie-sdk/go/internal/shared"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// offerMemory offers the worker to share memory with it, where the connection is
// within this machine. settle is called with the worker's answer, nil for none:
// it begins to use the memory, or forgets it.
func (c *Client) offerMemory(hello *wirepb.Hello) (settle func(answer *wirepb.Hello)) {
	if c.cfg.Direct == "" {
		return func(*wirepb.Hello) {}
	}
	offer, err := shared.Listen()
	if err != nil {
		c.cfg.Log.Debug("no shared memory", "addr", c.cfg.Addr, "error", err)
		return func(*wirepb.Hello) {}
	}
	hello.MemorySocket, hello.MemoryFrom = offer.Name(), c.cfg.Direct
	return func(answer *wirepb.Hello) {
		if m := offer.Close(answer.GetMemoryProof()); m != nil {
			c.conn.Share(m)
			c.cfg.Log.Debug("large payloads go through shared memory", "addr", c.cfg.Addr, "bytes", m.Bytes())
		}
	}
}
