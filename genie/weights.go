package genie

import (
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// weightInput is a weight as an input, for policies that send weights with every
// run. Half precision is widened once and kept.
func (c *Client) weightInput(g *lazy.Graph, h plan.Hash) (transport.Input, error) {
	w, err := g.Weight(h)
	if err != nil || w.Storage != plan.F16 && w.Storage != plan.BF16 {
		return transport.Input{Data: w.Data, File: w.File}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.wide[h]
	if !ok {
		if c.wide == nil {
			c.wide = map[plan.Hash][]byte{}
		}
		if b, err = w.Widened(); err != nil {
			return transport.Input{}, err
		}
		c.wide[h] = b
	}
	return transport.Input{Data: b}, nil
}
