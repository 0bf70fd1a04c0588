package op

import (
	"errors"

	"github.com/genie-sdk/go/transport"
)

// Causes of capture and run-time errors, those of the public contract.
var (
	ErrShape = transport.ErrShape
	ErrDType = transport.ErrDType
	ErrIndex = transport.ErrIndexRange
)

// ErrHalted is the error of an evaluation that was told to stop. Who told it says
// why.
var ErrHalted = errors.New("genie: the evaluation was stopped")
