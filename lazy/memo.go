package lazy

import (
	"fmt"
	"sync"
)

// Memo is where packages that work on a graph store their results about it,
// each under a key of its own type. A stored value lives as long as the graph.
// Memo is safe for concurrent use, and not part of the program.
func (g *Graph) Memo() *sync.Map { return &g.memo }

// MaxStateName bounds the name of a shared state, in bytes.
const MaxStateName = 128

// ShareState names the state that the program carries from run to run. Without
// a name the values belong to the graph: two graphs in one session carry
// separate values, even if their structure is the same. Graphs with one name
// carry the same values in a session: a recaptured program continues where the
// previous one stopped, and programs for a prompt and for one token after it,
// captured separately, share a cache. Their carried inputs must have the same
// names, element types and shapes, else a run is [ErrCapture]. Name the state
// before the first run.
func (g *Graph) ShareState(name string) {
	if name == "" || len(name) > MaxStateName {
		g.fail("share state", nil, fmt.Errorf("%w: the name %.80q of a state is empty or longer than %d bytes", ErrCapture, name, MaxStateName))
		return
	}
	g.state = name
}

// SharedState is the name given by [Graph.ShareState], or empty.
func (g *Graph) SharedState() string { return g.state }
