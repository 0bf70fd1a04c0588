package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// ErrNoPeer means that a value cannot move to a session directly: the sender's
// executor offers no such moves, its operator does not allow the receiver's
// address, or nothing answers there. The value can be read and passed on by the
// caller instead.
var ErrNoPeer = errors.New("genie: no direct connection to the receiver")

// ErrTicket means that a ticket is not valid: it was used, has expired, is
// unknown, or belongs to another session or sender, or what is sent does not
// have the size or the type that the ticket says.
var ErrTicket = errors.New("genie: ticket not valid")

// ErrNotDelivered means that a transfer was cut short and could not be resumed: the
// receiver or the link failed. Whether the receiver has the value is known when it
// is used there.
var ErrNotDelivered = errors.New("genie: the value did not reach its receiver")

// The limits of tickets.
const (
	// TicketLifetime is how long a ticket is valid unless its spec says less,
	// and the most that it may say.
	TicketLifetime = 2 * time.Minute
	// MaxTickets is how many tickets of one session may be open at a time. More
	// are [ErrLimit].
	MaxTickets = 1024
)

// TicketSpec is what a session is to receive: a value, or rows of carried state.
type TicketSpec struct {
	DType plan.DType
	Shape []int      // of what is sent
	Cause plan.Cause // of its bytes in the ledgers
	// Sender is who may send it, see [Sender.PeerID]. It is not zero.
	Sender PeerID
	// Lifetime of the ticket; 0 is [TicketLifetime].
	Lifetime time.Duration

	// State names the carried state that gets the rows; empty for an ordinary
	// value, which the ticket's handle names.
	State string
	// Mode is that of the state, [plan.StateAppend] when 0.
	Mode plan.StateMode
	// Axis is the axis of the state along which the rows are counted, that along
	// which it grows in mode [plan.StateAppend]; -1 for the whole state.
	Axis int
	// Start is where the first row goes: the state's present length (the rows
	// are appended) or less (they overwrite). A session that does not have the
	// state yet begins it: with length zero along Axis, or with the whole state.
	Start int
}

// Size is the number of bytes of what is sent. Errors wrap [ErrShape] or
// [ErrDType].
func (s *TicketSpec) Size() (int64, error) {
	if !s.DType.Valid() {
		return 0, fmt.Errorf("%w: a ticket for %v", ErrDType, s.DType)
	}
	if len(s.Shape) > plan.MaxRank {
		return 0, fmt.Errorf("%w: a ticket for rank %d, the limit is %d", ErrShape, len(s.Shape), plan.MaxRank)
	}
	n := int64(s.DType.Size())
	for _, d := range s.Shape {
		if d < 0 || d > plan.MaxDimSize {
			return 0, fmt.Errorf("%w: a ticket for shape %v", ErrShape, s.Shape)
		}
		if d != 0 && n > maxTicketBytes/int64(d) {
			return 0, fmt.Errorf("%w: a ticket for shape %v", ErrLimit, s.Shape)
		}
		n *= int64(d)
	}
	return n, s.checkRows()
}

// checkRows checks what a ticket says about carried state.
func (s *TicketSpec) checkRows() error {
	switch {
	case s.State == "":
		return nil
	case len(s.State) > maxStateName:
		return fmt.Errorf("%w: a state name of %d bytes", ErrLimit, len(s.State))
	case s.Mode > plan.StateWrite:
		return fmt.Errorf("%w: a ticket for a state of mode %d", ErrState, s.Mode)
	case s.Axis < -1 || s.Axis >= len(s.Shape) || s.Start < 0 || s.Start > plan.MaxDimSize,
		s.Axis < 0 && (s.Start != 0 || s.Mode == plan.StateAppend || s.Mode == 0):
		return fmt.Errorf("%w: a ticket for rows from %d on along axis %d of shape %v", ErrShape, s.Start, s.Axis, s.Shape)
	}
	return nil
}

// maxTicketBytes bounds the size that can be computed; the receiver's memory
// budget bounds what it accepts.
const maxTicketBytes = 1 << 46

// maxStateName bounds the name of a state in a ticket, in bytes.
const maxStateName = 1 << 10

// Ticket is the right to put one value into one session, once. The receiver
// makes it; the caller hands it to the sender. The receiver's memory is reserved
// while the ticket is open, until the value is released.
type Ticket struct {
	// Address is where the sender's executor dials: "tcp://host:port" or
	// "grpc://host:port"; empty for a session of this process.
	Address string
	// Handle names the value in the receiving session, where a run or a read
	// that needs it waits until it has arrived. Releasing it takes the ticket
	// back. That of rows of carried state can only be released.
	Handle Handle
	// ID is the ticket's number at the receiver.
	ID uint64
	// Secret proves that the sender was given the ticket.
	Secret [32]byte
	// Size is the number of bytes.
	Size    int64
	Expires time.Time // by the clock of the receiver's client
	Spec    TicketSpec
	// Begun says that an earlier attempt of the sender may have reached the
	// receiver: the sender asks what has arrived, and resumes there.
	Begun bool

	target Target
}

// Target is a session of this process that receives.
type Target interface {
	// Deliver hands over what the ticket is for. It copies t.Data.
	Deliver(ctx context.Context, ticket Ticket, from PeerID, t Tensor) error
}

// WithTarget is the ticket for a session of this process.
func (t Ticket) WithTarget(to Target) Ticket {
	t.target = to
	return t
}

// Target is the session of this process that receives; nil for one elsewhere.
func (t Ticket) Target() Target { return t.target }

// Receiver is a [Session] that receives values directly from sessions of other
// executors.
type Receiver interface {
	// Ticket reserves the memory and returns the right to fill it. An executor
	// that cannot receive returns [ErrNoPeer].
	Ticket(ctx context.Context, spec TicketSpec) (Ticket, error)
}

// Sender is a [Session] whose values another session receives without passing
// through the caller. A call of it is ordered after the earlier calls of its
// session, as every call is; later calls do not wait for the transfer and may
// release the value.
//
// Errors that wrap [ErrNoPeer] are from before anything was sent, and the ticket
// is still valid. After other errors the ticket should be taken back: release
// its handle.
type Sender interface {
	// PeerID is for [TicketSpec.Sender]. An executor that cannot send returns
	// [ErrNoPeer].
	PeerID(ctx context.Context) (PeerID, error)
	// Send sends a retained value. It returns when the receiver has all of it.
	Send(ctx context.Context, h Handle, t Ticket) error
	// SendState sends rows start to stop, along an axis, of the carried state
	// of that name; with axis -1 the whole state. It returns when the receiver's
	// state has them.
	SendState(ctx context.Context, name string, axis, start, stop int, t Ticket) error
}

// Courier carries values to the receivers of tickets. The executors of packages
// tcp and rpc are couriers to the worker at their address; a worker that sends
// uses them.
type Courier interface {
	// Deliver hands over what the ticket is for, in the name of the holder of
	// the key. A lost connection is restored as for other calls, and the transfer
	// resumed. It returns when the receiver has all of it.
	Deliver(ctx context.Context, t Ticket, as PeerKey, v Tensor) error
}
