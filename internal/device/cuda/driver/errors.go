package driver

import (
	"errors"
	"fmt"
)

// ErrOutOfMemory means that the device, or the system for page-locked memory,
// does not have the memory.
var ErrOutOfMemory = errors.New("genie: out of device memory")

// Error is a failed call of a driver.
type Error struct {
	Call   string // such as cuLaunchKernel
	Code   int    // CUresult
	Name   string // such as CUDA_ERROR_ILLEGAL_ADDRESS
	Detail string // what else is known
	// Sticky means that the context is lost: each later call fails too.
	Sticky bool
}

// Error says which call failed and how.
func (e *Error) Error() string {
	s := fmt.Sprintf("genie: CUDA: %s: %s (%d)", e.Call, e.Name, e.Code)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Is reports whether target is [ErrOutOfMemory] and the error means that.
func (e *Error) Is(target error) bool { return target == ErrOutOfMemory && e.Code == CodeOutOfMemory }

// IsSticky reports whether err means that the context is lost.
func IsSticky(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Sticky
}
