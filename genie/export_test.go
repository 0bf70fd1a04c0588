package genie

import (
	"context"
	"time"

	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/lazy"
)

// MaxStates is maxStates.
const MaxStates = maxStates

// Draining reports whether the client knows that a worker of its fleet drains.
func (c *Client) Draining(id string) (yes bool) {
	c.workers.fleet.f.Table(func(t *route.Table, _ time.Time) {
		i, ok := t.Find(id)
		yes = ok && t.At(i).Draining
	})
	return yes
}

// Distrusts reports whether the client's policy expects to send the weights of a program
// to a worker of its fleet, whatever that says.
func (c *Client) Distrusts(id string, g *lazy.Graph) (yes bool) {
	p, err := c.program(context.Background(), g)
	if err != nil {
		return false
	}
	c.workers.fleet.f.Table(func(t *route.Table, now time.Time) { yes = t.Lacks(id, p.model(), now) > 0 })
	return yes
}
