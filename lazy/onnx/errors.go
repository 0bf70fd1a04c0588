package onnx

import (
	"errors"
	"fmt"
	"strings"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
)

var (
	// ErrMalformed is the cause of errors about a file that is no ONNX model,
	// contradicts itself or exceeds a limit.
	ErrMalformed = onnxfile.ErrMalformed
	// ErrUnsupported is the cause of every [RefusedError].
	ErrUnsupported = errors.New("genie: not importable from ONNX")
	// ErrDataDependent is the cause of a refusal where a shape, or another value that
	// must be known before a run, depends on what a run is fed.
	ErrDataDependent = errors.New("genie: known only when the program runs")
	// ErrOption is the cause of errors about an option that does not fit the model.
	ErrOption = errors.New("genie: option does not fit the ONNX model")
)

// Refusal is one node that cannot be imported.
type Refusal struct {
	Node   string // its name, or that of its first output; empty for the model as a whole
	Op     string // operator, or "input" and the like
	Domain string // of the operator, empty for the standard one
	Err    error  // the reason
}

// String names the operator, the node and the reason.
func (r Refusal) String() string {
	op := r.Op
	if r.Domain != "" {
		op = r.Domain + "." + op
	}
	if r.Node == "" {
		return fmt.Sprintf("%s: %v", op, r.Err)
	}
	return fmt.Sprintf("%s (node %.80q): %v", op, r.Node, r.Err)
}

// RefusedError lists the nodes of a model that cannot be imported. Nodes that
// depend on them are listed only if they could not be imported by themselves.
type RefusedError struct{ Nodes []Refusal }

// shownRefusals is how many of the nodes the text of the error names.
const shownRefusals = 8

// Error lists the first nodes, and how many there are.
func (e *RefusedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %d of its nodes", ErrUnsupported, len(e.Nodes))
	for i, n := range e.Nodes {
		if i == shownRefusals {
			fmt.Fprintf(&b, "; and %d more", len(e.Nodes)-i)
			break
		}
		b.WriteString("; ")
		b.WriteString(n.String())
	}
	return b.String()
}

// Unwrap gives [ErrUnsupported], [lazy.ErrCapture] and the reasons.
func (e *RefusedError) Unwrap() []error {
	out := []error{ErrUnsupported, lazy.ErrCapture}
	for _, n := range e.Nodes {
		out = append(out, n.Err)
	}
	return out
}

// Reasons of refusals.
var (
	errNoOperator = errors.New("no operator of a plan computes it")
	errTraining   = errors.New("it is for training")
)

// refusedf is a reason in words.
func refusedf(format string, args ...any) error { return fmt.Errorf(format, args...) }
