package genie

import (
	"errors"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
)

// Causes of errors, found with errors.Is whichever side found the fault.
var (
	ErrCapture       = lazy.ErrCapture
	ErrPolicy        = semantic.ErrPolicy
	ErrInvalidPlan   = transport.ErrInvalidPlan
	ErrShape         = transport.ErrShape
	ErrDType         = transport.ErrDType
	ErrIndexRange    = transport.ErrIndexRange
	ErrMissingWeight = transport.ErrMissingWeight
	ErrCorrupt       = transport.ErrCorrupt
	ErrStaleHandle   = transport.ErrStaleHandle
	ErrUnknownInput  = transport.ErrUnknownInput
	ErrState         = transport.ErrState
	ErrLimit         = transport.ErrLimit
	ErrUnreachable   = transport.ErrUnreachable
	ErrProtocol      = transport.ErrProtocol
	ErrVersion       = transport.ErrVersion
	ErrClosed        = transport.ErrClosed
	ErrInternal      = transport.ErrInternal
	ErrMemory        = transport.ErrMemory
	ErrSessionLost   = transport.ErrSessionLost
	ErrOverloaded    = transport.ErrOverloaded

	ErrUnauthenticated = transport.ErrUnauthenticated
	ErrPermission      = transport.ErrPermission
	ErrQuota           = transport.ErrQuota

	// ErrURL is the cause of errors about an executor's URL.
	ErrURL = errors.New("genie: bad executor URL")
	// ErrContextLength is the cause of errors about a prompt that leaves no
	// room for a token in the model's context.
	ErrContextLength = errors.New("genie: context length exceeded")
	// ErrStop is what [GenerateRequest.OnToken] returns to end a sequence; it is
	// the error of nothing else.
	ErrStop = errors.New("genie: stop here")
)

// MemoryError is the error of a request that needs memory which an executor may
// not take, with the numbers; see [transport.MemoryError].
type MemoryError = transport.MemoryError
