package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// LoopOpener is a session that can make a loop and the run that produces its
// first tokens in one request. A distant caller then waits once for a whole
// generation.
type LoopOpener interface {
	Looper
	// OpenLoop makes the opening's run and then the loop, as RunLoop does.
	// Inputs of kind [LoopToken] get the opening's tokens in the first run; the
	// values that call has for them are not used but must have the right size.
	// each is also called for the opening's run, first of all. A sequence may
	// end with the opening's token; if all do, no further run is made.
	// Everything is sent without waiting, and a failure ends the rest: the
	// session then needs a Reset, except after [ErrOverloaded], when nothing
	// was done.
	OpenLoop(ctx context.Context, open Opening, call Call, loop Loop, each func(tokens []byte, elapsed time.Duration) error) error
}

// Opening is the run before a loop, usually the prefill of a prompt.
type Opening struct {
	// Reset clears the session's carried state first, as [Session.Reset] does.
	Reset bool
	// Call is a run whose outputs are all downloaded. Only the tokens are
	// returned.
	Call Call
	// Token is the index of an output i32 [batch].
	Token int
}

// Check validates an opening against its plan. Errors wrap [ErrUnknownInput] or
// [ErrDType].
func (o *Opening) Check(p *plan.Plan) error {
	if o.Token < 0 || o.Token >= len(p.Outputs) {
		return fmt.Errorf("%w: a loop opened without tokens", ErrUnknownInput)
	}
	for _, out := range p.Outputs {
		if out.Place != plan.Download {
			return fmt.Errorf("%w: the opening of a loop cannot retain output %q", ErrUnknownInput, out.Name)
		}
	}
	if d := p.Values[p.Outputs[o.Token].Value].Spec.DType; d != plan.I32 {
		return fmt.Errorf("%w: the opening's tokens are %v", ErrDType, d)
	}
	return nil
}
