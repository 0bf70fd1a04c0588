package device

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
)

// LostError means that a device is lost with all that it held, such as after a
// fault in a kernel. The engine opens it anew. It wraps [transport.ErrDevice].
type LostError struct {
	Device string // such as cuda:0
	Err    error  // what happened
}

// Error says what happened.
func (e *LostError) Error() string {
	return fmt.Sprintf("%v: %s is lost: %v", transport.ErrDevice, e.Device, e.Err)
}

// Unwrap returns [transport.ErrDevice] and the cause.
func (e *LostError) Unwrap() []error { return []error{transport.ErrDevice, e.Err} }
