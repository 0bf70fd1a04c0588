package safetensors

import (
	"errors"
	"strings"
)

// Sentinels that an [Error] wraps.
var (
	// ErrCorrupt marks a file that breaks the format's rules.
	ErrCorrupt = errors.New("genie: corrupt safetensors file")
	// ErrUnsupported marks a file that may follow the format but contains
	// something that this package does not read, such as another dtype.
	ErrUnsupported = errors.New("genie: unsupported safetensors content")
	// ErrWrite marks a misuse of the writer: wrong order, wrong size.
	ErrWrite = errors.New("genie: safetensors write out of step")
)

// Error is a fault of a file and its location. It wraps one of the sentinels
// [ErrCorrupt], [ErrUnsupported] and [ErrWrite].
type Error struct {
	File   string // path as given to Open or Create
	Tensor string // name of the tensor at fault, empty when the file is
	Reason string // what is wrong, with the numbers
	Err    error  // the sentinel
}

// Error gives the sentinel's text, the file, the tensor and the reason.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Err.Error())
	b.WriteString(": ")
	b.WriteString(e.File)
	if e.Tensor != "" {
		b.WriteString(": tensor ")
		b.WriteString(quote(e.Tensor))
	}
	b.WriteString(": ")
	b.WriteString(e.Reason)
	return b.String()
}

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Err }
