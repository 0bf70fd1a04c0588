package onnxfile

import (
	"errors"
	"fmt"
)

// ErrMalformed marks a file that is no ONNX model, contradicts itself or exceeds a
// limit of this package.
var ErrMalformed = errors.New("genie: malformed ONNX file")

// Limits of a file. They bound the memory that reading takes, in addition to the
// mapping: some hundred bytes for each message.
const (
	MaxMessages  = 1 << 21 // messages, names and numbers that are read, of all kinds
	MaxDepth     = 64      // nested graphs
	MaxNameBytes = 4 << 10 // a name, or another short text
	MaxTextBytes = 64 << 20
	MaxRank      = 64  // dimensions of a tensor
	MaxFiles     = 256 // files of external data
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}
