package op

import "github.com/genie-sdk/go/transport"

// Causes of capture and run-time errors, those of the public contract.
var (
	ErrShape = transport.ErrShape
	ErrDType = transport.ErrDType
	ErrIndex = transport.ErrIndexRange
)
