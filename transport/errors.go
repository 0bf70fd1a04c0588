package transport

import (
	"context"
	"errors"
	"fmt"

	"github.com/genie-sdk/go/transport/plan"
)

// The causes of errors. errors.Is finds them, whether the client or the worker
// detected the fault.
var (
	ErrInvalidPlan   = plan.ErrInvalid
	ErrShape         = errors.New("genie: shape mismatch")
	ErrDType         = errors.New("genie: element type mismatch")
	ErrIndexRange    = errors.New("genie: index out of range")
	ErrMissingWeight = errors.New("genie: missing weight")
	ErrCorrupt       = errors.New("genie: corrupt data")
	ErrStaleHandle   = errors.New("genie: stale handle")
	ErrUnknownPlan   = errors.New("genie: unknown plan")
	ErrUnknownInput  = errors.New("genie: unknown input")
	ErrState         = errors.New("genie: carried state does not fit the call")
	ErrLimit         = errors.New("genie: limit exceeded")
	ErrUnreachable   = errors.New("genie: executor unreachable")
	ErrProtocol      = errors.New("genie: protocol violation")
	ErrVersion       = errors.New("genie: protocol version mismatch")
	ErrClosed        = errors.New("genie: closed")
	ErrInternal      = errors.New("genie: internal error")
	ErrMemory        = errors.New("genie: not enough memory") // see [MemoryError]
	// ErrUnknownOperator means that a plan names an operator that the executor
	// does not have. It is an [ErrInvalidPlan].
	ErrUnknownOperator = fmt.Errorf("%w: unknown operator", plan.ErrInvalid)
	// ErrOperator means that an operator of a user failed: it returned an error or
	// panicked, or its shape rule gave what is no shape. See package custom.
	ErrOperator = errors.New("genie: custom operator failed")
	// ErrSessionLost means that a session or its state is gone: its worker
	// restarted, its lease expired, or the progress of an interrupted run is
	// unknown.
	ErrSessionLost = errors.New("genie: session lost")
	// ErrDevice means that the executor's device failed. A session that used it
	// is lost; the executor opens the device anew for later ones.
	ErrDevice = errors.New("genie: device failed")

	// ErrUnauthenticated means that authentication failed: a certificate was
	// not accepted, or a token is missing or wrong.
	ErrUnauthenticated = errors.New("genie: not authenticated")
	// ErrPermission means that a client asked for something that belongs to
	// another.
	ErrPermission = errors.New("genie: not permitted")
	// ErrQuota means that an identity has used up a quota; see [QuotaError].
	ErrQuota = errors.New("genie: quota exceeded")
)

// codes maps each cause to its number on the wire. Numbers are never reused.
var codes = []struct {
	code uint32
	err  error
}{
	{26, ErrUnknownOperator}, // before the cause that it wraps
	{27, ErrOperator},        // before what it returned
	{28, ErrNoPeer},          // these before why
	{30, ErrNotDelivered},
	{29, ErrTicket},
	{1, ErrInvalidPlan},
	{2, ErrShape},
	{3, ErrDType},
	{4, ErrIndexRange},
	{5, ErrMissingWeight},
	{6, ErrCorrupt},
	{7, ErrStaleHandle},
	{8, ErrUnknownPlan},
	{9, ErrUnknownInput},
	{10, ErrState},
	{11, ErrLimit},
	{12, ErrUnreachable},
	{13, ErrProtocol},
	{14, ErrVersion},
	{15, ErrClosed},
	{16, ErrInternal},
	{17, context.Canceled},
	{18, context.DeadlineExceeded},
	{19, ErrMemory},
	{20, ErrOverloaded},
	{21, ErrUnauthenticated},
	{22, ErrPermission},
	{23, ErrQuota},
	{24, ErrSessionLost},
	{25, ErrDevice},
}

// Code is the number of err's cause on the wire. A cause without a number has
// that of ErrInternal.
func Code(err error) uint32 {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return Code(ErrInternal)
}

// RemoteError is an error that a worker reported.
type RemoteError struct {
	Code    uint32 // see [Code]
	Message string // the worker's message
	Addr    string // address that the client dialled
	// Detail is the error with its numbers, a [MemoryError] or a [QuotaError];
	// nil for causes that have none.
	Detail error
}

// Error gives the worker's message and the address dialled.
func (e *RemoteError) Error() string {
	if e.Addr == "" {
		return e.Message
	}
	return fmt.Sprintf("%s (worker %s)", e.Message, e.Addr)
}

// Unwrap is the detail or, without one, the cause named by the code.
func (e *RemoteError) Unwrap() error {
	if e.Detail != nil {
		return e.Detail
	}
	for _, c := range codes {
		if c.code == e.Code {
			return c.err
		}
	}
	return ErrInternal
}
