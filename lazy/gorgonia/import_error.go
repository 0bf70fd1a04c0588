package gorgonia

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/lazy"
)

// ErrNotImported is the cause of every [ImportError].
var ErrNotImported = errors.New("genie: not importable from Gorgonia")

// ImportError names the node of a Gorgonia graph that [Import] refuses.
type ImportError struct {
	Op   string // the operator, such as "log" or "sparsemaxOp"; "leaf" for a node without one
	Node string // the node's own name, empty if it has none
	ID   int64  // of the node in its graph
	Err  error
}

// Error names the operator, the node and the cause.
func (e *ImportError) Error() string {
	return fmt.Sprintf("import %s (node %d %.80q): %v", e.Op, e.ID, e.Node, e.Err)
}

// Unwrap gives the cause, [ErrNotImported] and [lazy.ErrCapture].
func (e *ImportError) Unwrap() []error { return []error{e.Err, ErrNotImported, lazy.ErrCapture} }

// Reasons of refusals.
var (
	errNoCounterpart = errors.New("no operator of a plan computes it")
	errForeign       = errors.New("an operator of another package than gorgonia.org/gorgonia")
	errRandom        = errors.New("it is random in training; set it to inference or import with ForInference")
	errStatement     = errors.New("a statement has no value")
	errGradient      = errors.New("an operator of gradients")
)

// fault is an error about a node, nil for the graph as a whole.
func (im *importer) fault(n *gorgonia.Node, err error) error {
	if e, ok := errors.AsType[*ImportError](err); ok {
		return e
	}
	e := &ImportError{Op: "graph", ID: -1, Err: err}
	if n != nil {
		e.Op, e.Node, e.ID = opName(n.Op()), ownName(n), n.ID()
	}
	return e
}
