package lazy

import (
	"errors"
	"fmt"
	"runtime"
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
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		e.File, e.Line = f.File, f.Line
		if outside(f) || !more {
			return e
		}
	}
}
