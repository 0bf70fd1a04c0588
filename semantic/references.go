package semantic

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/plan"
)

// References is the part of a run that is predicted for references of operators,
// which are slow: the device has no kernel for what they compute.
type References struct {
	Seconds float64 // of the references
	Total   float64 // of all kernels
	// Worst are those that take longest, the slowest first.
	Worst []ReferenceStep
}

// ReferenceStep is one reference of an operator in a run.
type ReferenceStep struct {
	Name    string       // its operator
	At      *lazy.Tensor // the captured tensor that it computes, nil if that is not known
	Seconds float64      // predicted
}

// String names the operator, where the program captured it, and its time.
func (r ReferenceStep) String() string {
	at := ""
	if r.At != nil && location(r.At) != "" {
		at = " at " + location(r.At)
	}
	return r.Name + at + ": " + seconds(r.Seconds)
}

// Share is the part of the run's time.
func (r References) Share() float64 {
	if r.Total > 0 {
		return r.Seconds / r.Total
	}
	return 0
}

// References predicts the references of a run of the schedule's plan on d, with the
// symbols bound to b. It compiles the plan as an executor does.
func (s *Schedule) References(d Device, b plan.Bindings) (References, error) {
	operators, err := s.customOperators()
	if err != nil {
		return References{}, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	prog, kernels, err := d.compile(s.Plan, operators, b)
	if err != nil {
		return References{}, err
	}
	var out References
	for i := range kernels {
		k := &kernels[i]
		t := d.KernelSeconds(*k)
		out.Total += t
		if !k.Reference() {
			continue
		}
		out.Seconds += t
		step := ReferenceStep{Name: k.Name, Seconds: t}
		if v := prog.Groups[i].Out; v < len(s.Origins) {
			step.At = s.Origins[v]
		}
		out.Worst = append(out.Worst, step)
	}
	slices.SortStableFunc(out.Worst, func(a, b ReferenceStep) int { return cmp.Compare(b.Seconds, a.Seconds) })
	out.Worst = out.Worst[:min(len(out.Worst), mostSlow)]
	return out, nil
}

// customOperators are those of the program that was scheduled.
func (s *Schedule) customOperators() (*custom.Table, error) {
	for _, t := range s.Origins {
		if t != nil {
			return t.Graph().CustomOperators()
		}
	}
	return nil, nil //nolint:nilnil // there are none
}

// compile compiles a plan for d, and prices its groups at the sizes of b.
func (d Device) compile(p *plan.Plan, operators *custom.Table, b plan.Bindings) (*program.Program, []Kernel, error) {
	prog, err := program.Compile(p, d.options(operators), op.NewWork(nil))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	c := &compiled{program: prog, origin: make([]int, len(p.Values))}
	kernels, err := c.kernels(d, b)
	return prog, kernels, err
}
