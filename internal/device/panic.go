package device

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
)

// PanicError is a panic of code of this module, caught where it would have left
// the engine or a device. It wraps [transport.ErrInternal].
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked; not for a peer
}

// Error gives the panic's value.
func (e *PanicError) Error() string { return fmt.Sprintf("%v: %v", transport.ErrInternal, e.Value) }

// Unwrap gives the cause.
func (*PanicError) Unwrap() error { return transport.ErrInternal }

// Caught is the error of a panic. It is called by the deferred function that
// recovered from it; one that was raised again keeps its stack.
func Caught(r any) *PanicError {
	if e, ok := r.(*PanicError); ok {
		return e
	}
	return &PanicError{r, debug.Stack()}
}

// Failure is the first panic of several goroutines.
type Failure struct{ first atomic.Pointer[error] }

// Set notes a panic.
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

// Recovered makes a panic an error.
func Recovered(err *error) {
	if r := recover(); r != nil {
		*err = Caught(r)
	}
}
