package transport

import "context"

// Rewinder is a session that can take back what runs appended to its carried
// state. Without it a session whose runs are to be undone needs a Reset.
type Rewinder interface {
	// Rewind shortens carried states to which runs append
	// (StateAppend of package plan): later runs continue as if the positions from
	// the given length on had not been appended. A state that is shorter, that
	// is not appended to or that the session does not have is [ErrState], and
	// then no state is changed. It is ordered as a run is.
	Rewind(ctx context.Context, to ...StateLength) error
}

// StateLength is a length of a carried state, along the axis that grows.
type StateLength struct {
	Name   string
	Length int
}
