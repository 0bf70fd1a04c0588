package genie

import (
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// weightBytes is a weight's content as an input's bytes, for policies that
// send weights with every run. Half precision is widened once and kept.
func (c *Client) weightBytes(g *lazy.Graph, h plan.Hash) ([]byte, error) {
	w, err := g.Weight(h)
	if err != nil || w.Storage != plan.F16 && w.Storage != plan.BF16 {
		return w.Data, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.wide[h]
	if !ok {
		if c.wide == nil {
			c.wide = map[plan.Hash][]byte{}
		}
		b = w.Widened()
		c.wide[h] = b
	}
	return b, nil
}
