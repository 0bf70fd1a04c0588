package lazy

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Causes of capture errors.
var (
	ErrShape = transport.ErrShape
	ErrDType = transport.ErrDType
	// ErrCapture is the cause of every [CaptureError].
	ErrCapture = errors.New("genie: wrong program")
)

// CaptureError is the fault of one operator of a program.
type CaptureError struct {
	Op   string      // operator, or "input", "weight", "constant", "output", "carry"
	In   []plan.Spec // the inputs' types and shapes
	File string      // the caller's
	Line int
	Err  error
}

// Error names the place, the operator, its inputs and the cause.
func (e *CaptureError) Error() string {
	in := make([]string, len(e.In))
	for i, s := range e.In {
		in[i] = s.String()
	}
	return fmt.Sprintf("%s:%d: %s(%s): %v", e.File, e.Line, e.Op, strings.Join(in, ", "), e.Err)
}

// Unwrap gives the cause and [ErrCapture].
func (e *CaptureError) Unwrap() []error { return []error{e.Err, ErrCapture} }

// captureError finds the first caller outside this package.
func captureError(op string, in []plan.Spec, err error) *CaptureError {
	e := &CaptureError{Op: op, In: in, Err: err}
	var pcs [24]uintptr
	e.File, e.Line = outside(pcs[:runtime.Callers(2, pcs[:])])
	return e
}

// outside is the line of the first caller outside this package.
func outside(pcs []uintptr) (file string, line int) {
	frames := runtime.CallersFrames(pcs)
	for {
		f, more := frames.Next()
		inside := strings.HasPrefix(f.Function, "github.com/genie-sdk/go/lazy.")
		if !inside || strings.HasSuffix(f.File, "_test.go") || !more {
			return f.File, f.Line
		}
	}
}

// calls is where an operator was captured: the innermost callers, of which the
// first few are in this package.
type calls [8]uintptr

func callers() *calls {
	c := &calls{}
	runtime.Callers(3, c[:])
	return c
}

// Where is the line of the program that captured an operator; no file for a leaf.
func (t *Tensor) Where() (file string, line int) {
	c := t.orZero().calls
	if c == nil {
		return "", 0
	}
	n := slices.Index(c[:], 0)
	if n < 0 {
		n = len(c)
	}
	return outside(c[:n])
}
