package device

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
)

// PanicError is a panic of this module's code, caught before it leaves the
// engine or a device. It wraps [transport.ErrInternal].
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked; never sent to a peer
}

// Error describes the panic's value.
func (e *PanicError) Error() string { return fmt.Sprintf("%v: %v", transport.ErrInternal, e.Value) }

// Unwrap returns the cause.
func (*PanicError) Unwrap() error { return transport.ErrInternal }

// Caught is the error of a panic. The deferred function that recovered calls
// it; a panic that was raised again keeps its stack.
func Caught(r any) *PanicError {
	if e, ok := r.(*PanicError); ok {
		return e
	}
	return &PanicError{r, debug.Stack()}
}

// Failure is the first panic of several goroutines.
type Failure struct{ first atomic.Pointer[error] }

// Set records a panic.
func (f *Failure) Set(r any) {
	err := error(Caught(r))
	f.first.CompareAndSwap(nil, &err)
}

// Take returns the error, once.
func (f *Failure) Take() error {
	if err := f.first.Swap(nil); err != nil {
		return *err
	}
	return nil
}

// Recovered converts a panic to an error.
func Recovered(err *error) {
	if r := recover(); r != nil {
		*err = Caught(r)
	}
}
