package lazy

import (
	"fmt"
	"sync"
)

// Memo is where packages that work on a graph store what they found out about
// it, each under a key of a type of its own: what is stored lives as long as the
// graph. It is safe for concurrent use, and no part of the program.
func (g *Graph) Memo() *sync.Map { return &g.memo }

// MaxStateName bounds the name of a shared state, in bytes.
const MaxStateName = 128

// ShareState names what the program carries from run to run. Without a name the
// values belong to the graph: two graphs in one session carry values of their
// own, even if their structure is the same. Graphs with one name carry the same
// values in a session: a program that is captured anew continues where the one
// before it was, and programs for a prompt and for one token after it, captured
// apart, share a cache. Their carried inputs must have the same names, element
// types and shapes, else a run is [ErrCapture]. Name the state before the first
// run.
func (g *Graph) ShareState(name string) {
	if name == "" || len(name) > MaxStateName {
		g.fail("share state", nil, fmt.Errorf("%w: the name %.80q of a state is empty or longer than %d bytes", ErrCapture, name, MaxStateName))
		return
	}
	g.state = name
}

// SharedState is the name given by [Graph.ShareState], or empty.
func (g *Graph) SharedState() string { return g.state }
