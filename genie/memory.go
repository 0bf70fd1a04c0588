package genie

import "github.com/genie-sdk/go/lazy"

// What a client and its sessions remember, so that the next run of a program need
// not analyse it, schedule it and prepare its plans anew. A service that captures a
// program for each of its requests runs each once.
const (
	maxPrograms = 256  // of a client, and of a session those that carry nothing
	maxPlans    = 4096 // of a session, and of one program
)

// forgetPrograms drops programs that were used longest ago. The caller holds the
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

// forgetLoops drops what the session knows of programs that carry nothing, when
// there are too many, but for l. The caller holds the session's lock.
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

// forgetPlans forgets which plans are prepared, when there are too many: to prepare
// one again takes one short round trip at most.
func (s *Session) forgetPlans() {
	if len(s.prepared) >= maxPlans {
		clear(s.prepared)
	}
}
