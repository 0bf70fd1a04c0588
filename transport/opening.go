package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// LoopOpener is a session that can make the run which gives a loop its first
// tokens, and the loop, in one request: a caller far away waits once for a whole
// text.
type LoopOpener interface {
	Looper
	// OpenLoop makes the opening's run and then the loop as RunLoop does. Inputs
	// that go on as [LoopToken] get the opening's tokens in the first run; what
	// call has for them must have the right size and is not used. each is called
	// for the opening's run, too, which is the first. A sequence may end with the
	// opening's token; if all do, nothing else is run. Everything is sent without
	// waiting for anything of it, and what fails ends the rest: the session then
	// wants a Reset, but for [ErrOverloaded], with which nothing was done.
	OpenLoop(ctx context.Context, open Opening, call Call, loop Loop, each func(tokens []byte, elapsed time.Duration) error) error
}

// Opening is the run before a loop: that of a prompt, as a rule.
type Opening struct {
	// Reset forgets the session's carried state first, as [Session.Reset] does.
	Reset bool
	// Call is a run whose outputs are all downloaded. Only the tokens come back.
	Call Call
	// Token is the index of an output i32 [batch].
	Token int
}

// Check holds an opening against its plan. Errors wrap [ErrUnknownInput] or
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
