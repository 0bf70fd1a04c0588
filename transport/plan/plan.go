package plan

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// The versions of the plan format that this module writes and reads. A plan has
// the lowest that can express it, see [Plan.Needs].
const (
	Version         = 1
	VersionQuotient = 2 // dimensions with quotients, see [Dim.FloorDiv]
)

// ErrInvalid is the cause of every error about a plan that cannot be run: a
// malformed field, an unknown operator or attribute, shapes that disagree.
var ErrInvalid = errors.New("genie: invalid plan")

// Plan is one program for an executor. It is immutable once built and safe to
// share between goroutines and sessions.
type Plan struct {
	Version uint32   `json:"version"`
	Name    string   `json:"name"`   // label of the captured graph, for people
	Phase   string   `json:"phase"`  // phase the plan was specialised for, a run-time hint
	Policy  string   `json:"policy"` // policy that made the plan, for people
	Values  []Value  `json:"values"`
	Steps   []Step   `json:"steps"` // in execution order
	Inputs  []Port   `json:"inputs"`
	Outputs []Output `json:"outputs"`
	States  []State  `json:"states,omitempty"`
	Buffers int      `json:"buffers"` // scratch buffers that Value.Buffer counts into
}

// Kind says where a value comes from.
type Kind uint8

// The kinds of values.
const (
	KindTemp   Kind = iota + 1 // written by a step
	KindInput                  // bytes or a handle given with each run
	KindWeight                 // resident, named by content hash
	KindConst                  // bytes inside the plan
	KindState                  // carried state as it was before the run
)

var kindNames = [...]string{"", "temp", "input", "weight", "const", "state"}

// String is the lower-case name of the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Hash is a BLAKE3-256 digest.
type Hash [32]byte

// String is the digest in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Its errors wrap [ErrInvalid].
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("%w: a hash of %d digits", ErrInvalid, len(text))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("%w: %q is no hash", ErrInvalid, text)
	}
	return nil
}

// NoBuffer is the Buffer of a value without scratch: inputs, weights,
// constants, state, and values in the memory of a state.
const NoBuffer = -1

// Value is one tensor of the plan. Its index in [Plan.Values] is its id.
type Value struct {
	Kind   Kind   `json:"kind"`
	Name   string `json:"name,omitempty"` // for people and error messages
	Spec   Spec   `json:"spec"`
	Buffer int    `json:"buffer"` // scratch buffer; a view has the buffer of the value that it views

	// Weight only: content hash, and the element type in which the content is
	// stored. Spec.DType is the compute type.
	Hash    Hash  `json:"hash,omitzero"`
	Storage DType `json:"storage,omitzero"`

	Const []byte `json:"-"` // constant only: little-endian elements, row-major
}

// Step computes one value from others.
type Step struct {
	Op     string `json:"op"`
	Attrs  Attrs  `json:"attrs,omitempty"`
	In     []int  `json:"in"`
	Out    int    `json:"out"`
	Device int    `json:"device"` // index of the device that runs it; 0 is the executor's own, see [Plan.OneDevice]
	Branch int    `json:"branch"` // branch of the graph, 0 outside any fork
}

// Port binds a name to an input value.
type Port struct {
	Name  string `json:"name"`
	Value int    `json:"value"`
}

// Place says where an output goes.
type Place uint8

// The places of an output.
const (
	Download Place = iota + 1 // bytes come back with the run
	Retain                    // stays on the executor, named by a handle
)

// String is "download" or "retain".
func (p Place) String() string {
	switch p {
	case Download:
		return "download"
	case Retain:
		return "retain"
	}
	return fmt.Sprintf("place(%d)", uint8(p))
}

// MarshalText implements encoding.TextMarshaler.
func (p Place) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Output names a result.
type Output struct {
	Name  string `json:"name"`
	Value int    `json:"value"`
	Place Place  `json:"place"`
	Cause Cause  `json:"cause"` // the ledger's cause for its bytes
}

// Cause says why bytes travel; see the ledger in package transport.
type Cause uint8

// The causes.
const (
	CauseControl    Cause = iota // framing, handshakes, calls, errors
	CauseWeights                 // weight contents
	CauseKV                      // carried state
	CauseActivation              // other inputs and outputs
	CauseLogits                  // scores over a vocabulary or classes
	CauseToken                   // token ids and the other small data of one step
	CausePlan                    // plans
)

// NumCauses is the number of causes.
const NumCauses = int(CausePlan) + 1

var causeNames = [NumCauses]string{"control", "weights", "kv", "activation", "logits", "token", "plan"}

// String is the lower-case name of the cause.
func (c Cause) String() string {
	if int(c) < NumCauses {
		return causeNames[c]
	}
	return fmt.Sprintf("cause(%d)", uint8(c))
}

// MarshalText implements encoding.TextMarshaler.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Cause) UnmarshalText(b []byte) error {
	for i, n := range causeNames {
		if n == string(b) {
			*c = Cause(i)
			return nil
		}
	}
	return fmt.Errorf("%w: unknown cause %q", ErrInvalid, b)
}

// StateMode says how a run updates carried state.
type StateMode uint8

// The modes.
const (
	// StateAppend: Out is In with rows appended along Axis, in place, by an
	// "append" step. The executor grows the memory geometrically.
	StateAppend StateMode = iota + 1
	// StateReplace: Out is computed elsewhere and becomes the state when the
	// run succeeds.
	StateReplace
	// StateWrite: Out is In with rows overwritten, in place, by a "write_rows"
	// step that comes after every other reader of In.
	StateWrite
)

// String is "append", "replace" or "write".
func (m StateMode) String() string {
	switch m {
	case StateAppend:
		return "append"
	case StateReplace:
		return "replace"
	case StateWrite:
		return "write"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// MarshalText implements encoding.TextMarshaler.
func (m StateMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// State is a value that a session carries from run to run. It begins as
// zeros, with an appended axis of length zero. States of different plans that
// have one name are one state of the session.
type State struct {
	Name string    `json:"name"`
	Mode StateMode `json:"mode"`
	In   int       `json:"in"`   // the KindState value
	Out  int       `json:"out"`  // the value that becomes the next run's In
	Axis int       `json:"axis"` // StateAppend: the axis that grows
}
