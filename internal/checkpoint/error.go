package checkpoint

import (
	"errors"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/internal/safetensors"
)

// Sentinels that an [Error] wraps.
var (
	// ErrMissingTensor marks a tensor that the checkpoint does not have.
	ErrMissingTensor = errors.New("genie: missing tensor")
	// ErrShape marks a tensor with another shape or dtype than the model needs.
	ErrShape = errors.New("genie: tensor of the wrong shape or dtype")
	// ErrCorrupt marks a checkpoint that contradicts itself: a broken
	// config.json or index, a shard outside the directory, a tensor that is not
	// where the index says. A broken safetensors file counts as well.
	ErrCorrupt = errors.New("genie: corrupt checkpoint")
	// ErrMissingFile marks a required file that is missing.
	ErrMissingFile = errors.New("genie: missing checkpoint file")
	// ErrOutside marks a file that is a link out of the model's folder, or out
	// of the cached repository that contains it. Its content was not read and
	// may be fine: copy it, or open the folder that contains it.
	ErrOutside = errors.New("genie: file outside the model's folder")
	// ErrChanged marks a file that changed while it was read.
	ErrChanged = errors.New("genie: checkpoint changed while in use")
	// ErrClosed marks a use after Close.
	ErrClosed = errors.New("genie: checkpoint is closed")
)

// Error is a fault of a checkpoint and its location.
type Error struct {
	File   string // the file at fault
	Tensor string // the tensor at fault, empty when the file is
	Reason string
	Err    error // one of the sentinels
	Cause  error // underlying error, often a *safetensors.Error; may be nil
}

// Error gives the sentinel's text, the file, the tensor, the reason, the cause.
func (e *Error) Error() string {
	parts := []string{e.Err.Error(), e.File}
	if e.Tensor != "" {
		parts = append(parts, "tensor "+quote(e.Tensor))
	}
	if e.Reason != "" {
		parts = append(parts, e.Reason)
	}
	if e.Cause != nil {
		parts = append(parts, e.Cause.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Cause}
}

// quote quotes a name that came from a file, cut to a readable length.
func quote(s string) string {
	const limit = 200
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}

// openError turns an error of opening a weights file into an *Error.
func openError(file string, err error) error {
	if errors.Is(err, safetensors.ErrCorrupt) || errors.Is(err, safetensors.ErrUnsupported) {
		return &Error{File: file, Err: ErrCorrupt, Cause: err}
	}
	return fileError(file, err)
}
