package plan

import "fmt"

// OneDevice checks that the executor's own device runs all steps. An executor
// that has no other refuses a plan for which it fails, and a client does so
// before it sends one: no step runs elsewhere than where the plan says. Errors
// wrap [ErrInvalid].
func (p *Plan) OneDevice() error {
	for i := range p.Steps {
		if d := p.Steps[i].Device; d != 0 {
			return fmt.Errorf("%w: step %d (%s) is for device %d, the executor has device 0 alone", ErrInvalid, i, p.Steps[i].Op, d)
		}
	}
	return nil
}
