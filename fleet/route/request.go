package route

import (
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// Weight is a weight that a request reads.
type Weight struct {
	Key  Key
	Size int64 // bytes
}

// Model is what a request runs: its weights, and the work of one token. A model
// without tokens counts each run as one.
type Model struct {
	Key       plan.Hash // of program and weights
	Weights   []Weight
	Bytes     int64   // of all weights
	FLOPs     float64 // of one token
	StateSize int64   // bytes of carried state that one token adds
}

// Request is a request to route.
type Request struct {
	Model    *Model
	Class    Class
	Deadline time.Time // zero: none
	Path     string    // the kernels that its session needs, "" for any: bits differ between paths

	Prefix   []Key // of the prompt, see [Blocks]
	Tokens   int   // of the prompt in all
	Expected int   // tokens that it will generate, as far as one can say

	// Home is the worker that holds the session's state, of HomeTokens tokens; "" of a
	// session without any. It is the client's own knowledge.
	Home       string
	HomeTokens int
}
