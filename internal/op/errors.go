package op

import (
	"errors"

	"github.com/genie-sdk/go/transport"
)

// The causes of capture and run-time errors, part of the public contract.
var (
	ErrShape = transport.ErrShape
	ErrDType = transport.ErrDType
	ErrIndex = transport.ErrIndexRange
)

// ErrHalted is the error of an evaluation that was told to stop. The caller
// that stopped it knows the reason.
var ErrHalted = errors.New("genie: the evaluation was stopped")
