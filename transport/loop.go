package transport

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// Looper is a session that can repeat a run by itself and feed each run with
// the outputs of the run before. A distant caller then waits once, not once per
// run.
type Looper interface {
	// RunLoop repeats a run as loop says. After every run it calls each with
	// the value of the output loop.Token, which is valid during the call, and
	// the executor's own time. An error of each ends the loop and is returned.
	// After a loop that ends early, for this or another reason, the carried
	// state is undefined: the session needs a Reset ([ErrState]).
	//
	// The results equal those of the same runs made one by one.
	RunLoop(ctx context.Context, call Call, loop Loop, each func(tokens []byte, elapsed time.Duration) error) error
}

// Loop says how one run produces the next.
type Loop struct {
	// Token is the index of an output i32 [batch] that the plan downloads.
	Token int
	// Inputs has an entry for each of the plan's inputs.
	Inputs []LoopInput
	// Grow is added to the bindings after each run, element by element.
	Grow []int
	// Limits are the numbers of runs for each sequence of the batch, 1 or more.
	Limits []int
	// Stop lists tokens that end a sequence.
	Stop []int32
}

// LoopInput says what an input gets in the next run.
type LoopInput struct {
	Kind LoopKind
	Max  int64 // of LoopCount
}

// LoopKind says how an input changes from run to run.
type LoopKind uint8

// The kinds.
const (
	LoopSame  LoopKind = iota // the same value again
	LoopToken                 // the tokens; an i32 input with as many elements
	LoopCount                 // each element plus one, at most Max; an i32 input
	endOfLoopKinds
)

// MaxLoopRuns bounds the runs of a loop.
const MaxLoopRuns = 1 << 20

// MaxLoopStop bounds the number of tokens that end a sequence.
const MaxLoopStop = 1 << 10

// Check validates a loop against a plan and the bindings of its first run.
// Errors wrap [ErrShape], [ErrLimit] or [ErrUnknownInput].
func (l *Loop) Check(p *plan.Plan, bindings []int) error {
	switch {
	case len(l.Inputs) != len(p.Inputs):
		return fmt.Errorf("%w: a loop over %d inputs, the plan has %d", ErrUnknownInput, len(l.Inputs), len(p.Inputs))
	case len(l.Grow) != len(bindings):
		return fmt.Errorf("%w: a loop over %d bindings, the plan has %d", ErrShape, len(l.Grow), len(bindings))
	case l.Token < 0 || l.Token >= len(p.Outputs) || p.Outputs[l.Token].Place != plan.Download:
		return fmt.Errorf("%w: a loop without tokens", ErrUnknownInput)
	case len(l.Limits) == 0 || slices.Min(l.Limits) < 1 || slices.Max(l.Limits) > MaxLoopRuns:
		return fmt.Errorf("%w: a loop wants 1 to %d runs of each sequence", ErrLimit, MaxLoopRuns)
	case len(l.Stop) > MaxLoopStop:
		return fmt.Errorf("%w: %d tokens that end a sequence, at most %d", ErrLimit, len(l.Stop), MaxLoopStop)
	}
	for _, o := range p.Outputs {
		if o.Place != plan.Download {
			return fmt.Errorf("%w: a loop cannot retain output %q", ErrUnknownInput, o.Name)
		}
	}
	for i, n := range l.Grow {
		if n < 0 || n > plan.MaxDimSize/MaxLoopRuns {
			return fmt.Errorf("%w: binding %d grows by %d", ErrShape, i, n)
		}
	}
	for i, in := range l.Inputs {
		v := p.Values[p.Inputs[i].Value]
		if in.Kind >= endOfLoopKinds || in.Kind != LoopSame && v.Spec.DType != plan.I32 {
			return fmt.Errorf("%w: input %q (%v) has no way %d to get its next value", ErrDType, p.Inputs[i].Name, v.Spec.DType, in.Kind)
		}
	}
	if d := p.Values[p.Outputs[l.Token].Value].Spec.DType; d != plan.I32 {
		return fmt.Errorf("%w: tokens are %v", ErrDType, d)
	}
	return nil
}
