package genie

import "github.com/genie-sdk/go/lazy"

// Limits of what a client and its sessions remember, so that the next run of a
// program need not be analysed, scheduled and prepared again. A service that
// captures a program for each request runs each program once.
const (
	maxPrograms = 256  // of a client, and of a session those without carried state
	maxPlans    = 4096 // of a session, and of one program
)

// forgetPrograms drops the least recently used programs. The caller holds the
// client's lock.
func (c *Client) forgetPrograms() {
	for len(c.graphs) > maxPrograms {
		var oldest *lazy.Graph
		for g, p := range c.graphs {
			if oldest == nil || p.used < c.graphs[oldest].used {
				oldest = g
			}
		}
		delete(c.graphs, oldest)
	}
}

// forgetLoops drops what the session remembers of programs without carried
// state, when there are too many, except l. The caller holds the session's
// lock.
func (s *Session) forgetLoops(l *loop) {
	if len(s.loops) <= maxPrograms {
		return
	}
	for g, o := range s.loops {
		if o != l && len(o.p.carries) == 0 {
			delete(s.loops, g)
		}
	}
}

// forgetPlans forgets which plans are prepared, when there are too many:
// preparing one again takes at most one short round trip.
func (s *Session) forgetPlans() {
	if len(s.prepared) >= maxPlans {
		clear(s.prepared)
	}
}
