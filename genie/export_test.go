package genie

import (
	"time"

	"github.com/genie-sdk/go/fleet/route"
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
