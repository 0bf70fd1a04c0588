package cluster

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
)

// carried is what a session knows of its carried state on the members.
type carried struct {
	undefined bool // a loop or a Reset ended early
	lost      *StateError
}

// check says whether runs may use the carried state.
func (c *carried) check() error {
	if c.undefined {
		return fmt.Errorf("%w: a loop ended early, the session needs a Reset", transport.ErrState)
	}
	if c.lost != nil {
		return c.lost
	}
	return nil
}

// StateError says that a run has failed on one member after it had changed
// carried state of others, which could not be taken back: parts of the session's
// state are from before the run and parts from after it. The session needs a
// Reset. It wraps [transport.ErrState] and [transport.ErrSessionLost].
type StateError struct {
	Members []string // that have state from after the run
	States  []string // their states
	Err     error    // why the run failed
}

// Error names the members, the states and the cause.
func (e *StateError) Error() string {
	return fmt.Sprintf("%v: a run failed after members %q had changed the states %q; the session needs a Reset: %v",
		transport.ErrState, e.Members, e.States, e.Err)
}

// Unwrap is the sentinels and the cause.
func (e *StateError) Unwrap() []error {
	return []error{transport.ErrState, transport.ErrSessionLost}
}

// failed notes what a failed run has changed.
func (c *carried) failed(r *partsRun, why error) {
	e := &StateError{Err: why}
	for i := range r.ref.split.Parts {
		part := &r.ref.split.Parts[i]
		if !r.ran[i] || len(part.States) == 0 {
			continue
		}
		e.Members = append(e.Members, r.s.x.members[part.Device].Name)
		for _, st := range part.Plan.States {
			e.States = append(e.States, st.Name)
		}
	}
	if len(e.States) > 0 {
		c.lost = e
	}
}
