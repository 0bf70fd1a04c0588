package worker

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// inputCauses is what the bytes of a plan's inputs count as. The client says so
// when it first runs the plan and when it changes. The receiving goroutine owns
// it.
type inputCauses struct{ list []plan.Cause }

// of is the cause of input i. The default is an activation.
func (c *inputCauses) of(i int) plan.Cause {
	if i < len(c.list) {
		return c.list[i]
	}
	return plan.CauseActivation
}

// says takes the causes in a Run.
func (p *prepared) says(causes []uint32) error {
	if len(causes) == 0 {
		return nil
	}
	if len(causes) != len(p.layout.Plan.Inputs) {
		return fmt.Errorf("%w: causes of %d inputs, the plan has %d", transport.ErrUnknownInput, len(causes), len(p.layout.Plan.Inputs))
	}
	list := make([]plan.Cause, len(causes))
	for i, c := range causes {
		if uint64(c) >= uint64(plan.NumCauses) {
			return fmt.Errorf("%w: input %d has cause %d", transport.ErrProtocol, i, c)
		}
		list[i] = plan.Cause(c)
	}
	p.causes.list = list
	return nil
}
