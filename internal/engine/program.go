package engine

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// Hash is the content hash of the plan.
func (p *Program) Hash() plan.Hash { return p.hash }

// Size is the memory of the program on the Go heap, in bytes.
func (p *Program) Size() int64 { return p.size }

// compile makes a program of a valid plan.
func (e *Engine) compile(on *incarnation, p *plan.Plan, w *op.Work) (*Program, error) {
	can := on.device.Capabilities()
	c, err := program.Compile(p, program.Options{
		Separate: e.opts.separate, Plain: e.opts.plain, Branches: e.opts.Branches, Convolution: can.Convolution, Pointwise: can.Pointwise,
		Elementwise: can.Elementwise, Custom: e.opts.Custom,
	}, w)
	if err != nil {
		return nil, err
	}
	if err := on.hasAll(c, can); err != nil {
		return nil, err
	}
	code, err := on.device.Compile(c, w)
	if err != nil {
		return nil, err
	}
	prog := &Program{Program: c, on: on, code: code, layout: code.Layouts()}
	for i, kind := range code.Elsewhere() {
		if kind != "" {
			c.Labels[i] += " on " + kind
		}
	}
	if err := w.Spend(len(p.Values) + len(p.Steps)); err != nil {
		return nil, err
	}
	prog.listKeys()
	prog.findCrossed()
	if prog.batching = newBatching(prog, e.opts); prog.batching != nil && e.opts.Portions {
		prog.division = c.Division()
	}
	return prog, nil
}

// hasAll refuses a program with a step that the device cannot compute.
func (on *incarnation) hasAll(p *program.Program, can device.Capabilities) error {
	if can.Lacks == nil {
		return nil
	}
	for i, o := range p.Res.Ops {
		if !p.Res.View[i] && can.Lacks(o, p.Inputs(i)) {
			return fmt.Errorf("%w: step %d (%s): the device %s has no such operator, and none may run elsewhere", plan.ErrInvalid, i, o.Name(), on.device.Info().Kind)
		}
	}
	return nil
}

// findCrossed fills crossed.
func (p *Program) findCrossed() {
	states := p.Plan().States
	p.crossed = make([]bool, len(states))
	for i, st := range states {
		in := p.StateOf(st.Out)
		p.crossed[i] = st.Mode == plan.StateReplace && st.Out != st.In && in >= 0 && states[in].Mode == plan.StateReplace
	}
}

// listKeys lists the weights.
func (p *Program) listKeys() {
	seen := make(map[WeightKey]bool, len(p.layout))
	p.keysOf = make(map[plan.Hash][]int, len(p.layout))
	for v := range p.Plan().Values {
		l, ok := p.layout[v]
		if !ok {
			continue
		}
		if k := p.on.key(p.Plan().Values[v].Hash, l); !seen[k] {
			seen[k] = true
			p.keysOf[k.hash] = append(p.keysOf[k.hash], len(p.keys))
			p.keys, p.keyOf = append(p.keys, k), append(p.keyOf, v)
		}
	}
}
