package genie

import (
	"errors"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// Causes of errors. errors.Is finds them, whether the client or the worker
// detected the fault.
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
	ErrUnknownPlan   = transport.ErrUnknownPlan
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
	ErrDevice        = transport.ErrDevice

	ErrUnknownOperator = transport.ErrUnknownOperator
	ErrOperator        = transport.ErrOperator

	ErrUnauthenticated = transport.ErrUnauthenticated
	ErrPermission      = transport.ErrPermission
	ErrQuota           = transport.ErrQuota

	ErrDirectory = fleet.ErrDirectory
	ErrNoWorker  = route.ErrNoWorker
	ErrLate      = route.ErrLate
	ErrEntry     = fleet.ErrEntry
	ErrFacts     = route.ErrFacts
	ErrFull      = route.ErrFull
	ErrFilter    = route.ErrFilter
	ErrClass     = route.ErrClass

	ErrNoPeer       = transport.ErrNoPeer
	ErrTicket       = transport.ErrTicket
	ErrNotDelivered = transport.ErrNotDelivered

	// ErrURL is the cause of errors about an executor's URL.
	ErrURL = errors.New("genie: bad executor URL")
	// ErrContextLength is the cause of errors about a prompt that leaves no
	// room for a token in the model's context.
	ErrContextLength = errors.New("genie: context length exceeded")
	// ErrStop is what [GenerateRequest.OnToken] returns to end a sequence. No
	// function returns it.
	ErrStop = errors.New("genie: stop here")
)

// Errors with what errors.As finds in them: which request, how much, how long.
type (
	// CaptureError is an [ErrCapture]: what is wrong with one operator of a program,
	// and where it was captured.
	CaptureError = lazy.CaptureError
	// MemoryError is the [ErrMemory] of a request that needs memory which an executor
	// may not take, with the numbers.
	MemoryError = transport.MemoryError
	// OverloadError is an [ErrOverloaded] that says when to ask again.
	OverloadError = transport.OverloadError
	// QuotaError is an [ErrQuota] that says which quota, its limit and its use.
	QuotaError = transport.QuotaError
	// RemoteError is an error that a worker reported, with its text and its
	// address. An error found on this side is a different type.
	RemoteError = transport.RemoteError
	// ContentError is an [ErrCorrupt]: a weight that does not have the hash that was
	// stored of it.
	ContentError = transport.ContentError
	// NotGenieError is an [ErrProtocol]: what answered speaks another protocol.
	NotGenieError = wire.NotGenieError
)
