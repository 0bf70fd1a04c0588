package route

import (
	"errors"
	"fmt"
	"time"
)

// Errors of routing.
var (
	// ErrNoWorker is a request that no worker of the table takes now: there is none,
	// all drain, or none has the memory or the kernels that it needs.
	ErrNoWorker = errors.New("genie: no worker takes the request")
	// ErrLate is a request that no worker can answer before its deadline.
	ErrLate = errors.New("genie: no worker can answer before the deadline")
)

// Reason is what made a worker the one.
type Reason uint8

// Reasons.
const (
	ByLoad    Reason = iota // nothing but load and speed
	ByState                 // it holds the session's state
	ByPrefix                // it holds the longest prefix of the prompt
	ByWeights               // it holds the weights
	ByMove                  // the state moves there from a worker that is slower, or drains
	ByRule                  // the next in turn, or at random
)

// String says it.
func (r Reason) String() string {
	switch r {
	case ByLoad:
		return "load"
	case ByState:
		return "state"
	case ByPrefix:
		return "prefix"
	case ByWeights:
		return "weights"
	case ByMove:
		return "move"
	case ByRule:
		return "rule"
	default:
		return fmt.Sprintf("reason %d", uint8(r))
	}
}

// Cost is the predicted time of a request on a worker, in seconds.
type Cost struct {
	Wait    float64 // for its turn
	Weights float64 // sending what the worker lacks
	State   float64 // sending carried state from the worker that has it
	Prefill float64 // computing the tokens whose state is nowhere near
	Decode  float64 // generating
	Link    float64 // the way there and back
}

// First is the time to the first token.
func (c Cost) First() float64 { return c.Wait + c.Weights + c.State + c.Prefill + c.Link }

// Total is the time to the last token.
func (c Cost) Total() float64 { return c.First() + c.Decode }

// Work is the part of the cost that keeps the worker busy.
func (c Cost) Work() float64 { return c.Weights + c.State + c.Prefill + c.Decode }

// Delays is by how much a request behind this one starts later. Generating does not
// delay it: sequences generate together.
func (c Cost) Delays() float64 { return c.Weights + c.Prefill }

// Decision is where a request goes, and why.
type Decision struct {
	Worker  string // its id
	Address string
	Reason  Reason
	Cost    Cost
	Reused  int    // tokens of the prompt whose state is there or is sent there
	From    string // the worker that sends the state, "" for none

	index int
}

// Index is the worker's place in the table, until the table changes.
func (d Decision) Index() int { return d.index }

// Policy chooses. A policy may keep state of its own, and then is used by one
// goroutine at a time, as the table is.
type Policy interface {
	Name() string
	// Route gives the worker for the request, or [ErrNoWorker] or [ErrLate].
	Route(t *Table, r Request, now time.Time) (Decision, error)
}
