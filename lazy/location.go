package lazy

import (
	"runtime"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/internal/lazygraph"
)

// Location is a place in the source of a program.
type Location struct {
	File string // as the compiler names it, empty if it is not known
	Line int
}

// String is the file and the line, as in model.go:120.
func (l Location) String() string {
	if l.File == "" {
		return ""
	}
	return l.File + ":" + strconv.Itoa(l.Line)
}

// capturedFrom are return addresses of a capture, from inside this package to
// its caller. Functions of this package call each other four deep at most.
type capturedFrom [6]uintptr

// recordCallers notes who captures a tensor, which is resolved only if somebody
// asks. It is called by what the exported functions call.
func (t *Tensor) recordCallers() {
	if lazygraph.Expr(t.g) != nil {
		runtime.Callers(3, t.callers[:])
	}
}

// Location is the place outside this module's capture packages where t was
// captured. A tensor with an error has none.
func (t *Tensor) Location() Location {
	t = t.orZero()
	n := 0
	for n < len(t.callers) && t.callers[n] != 0 {
		n++
	}
	if n == 0 {
		return Location{}
	}
	frames := runtime.CallersFrames(t.callers[:n])
	for {
		f, more := frames.Next()
		if outside(f) || !more {
			return Location{File: f.File, Line: f.Line}
		}
	}
}

// outside reports whether a function is none of this package or of
// lazy/gorgonia. Tests of these are outside, too.
func outside(f runtime.Frame) bool {
	const lazy = "github.com/genie-sdk/go/lazy"
	inside := strings.HasPrefix(f.Function, lazy+".") || strings.HasPrefix(f.Function, lazy+"/gorgonia.")
	return !inside || strings.HasSuffix(f.File, "_test.go")
}
