package engine

import (
	"container/list"
	"fmt"
	"time"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// Program is a compiled plan with the kernels of its groups and the layouts of
// its weights. It is immutable, except for the fields noted below, and shared
// by sessions.
type Program struct {
	*program.Program

	hash   plan.Hash
	code   device.Code
	layout map[int]device.WeightLayout // by weight value
	keys   []WeightKey                 // of the weights, each once
	keyOf  []int                       // by key: a value that has it
	keysOf map[plan.Hash][]int         // by content of weights: their few keys

	// crossed is by state: its new value is stored in memory of a state that is
	// also replaced, perhaps itself, so it is copied aside before any is
	// replaced.
	crossed []bool

	batching *batching       // how calls are batched, nil where they are not; it alone changes
	size     int64           // bytes, see [Program.measure]
	bound    int64           // bytes of a binding
	profile  []time.Duration // under the engine's lock: by group, nil where nothing was measured
	users    int             // under the engine's lock: sessions that use it
	counted  bool            // under the engine's lock: it is counted in the budget
	idle     *list.Element   // under the engine's lock: in the list of unused programs
}

// Hash is the content hash of the plan.
func (p *Program) Hash() plan.Hash { return p.hash }

// Size is the memory of the program on the Go heap, in bytes.
func (p *Program) Size() int64 { return p.size }

// compile makes a program of a valid plan.
func (e *Engine) compile(p *plan.Plan, w *op.Work) (*Program, error) {
	can := e.device.Capabilities()
	c, err := program.Compile(p, program.Options{
		Separate: e.opts.separate, Plain: e.opts.plain, Branches: e.opts.Branches, Convolution: can.Convolution, Pointwise: can.Pointwise,
	}, w)
	if err != nil {
		return nil, err
	}
	if err := e.hasAll(c, can); err != nil {
		return nil, err
	}
	code, err := e.device.Compile(c, w)
	if err != nil {
		return nil, err
	}
	prog := &Program{Program: c, code: code, layout: code.Layouts()}
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
	prog.batching = newBatching(prog, e.opts)
	return prog, nil
}

// hasAll refuses a program with a step that the device has nothing for.
func (e *Engine) hasAll(p *program.Program, can device.Capabilities) error {
	if can.Lacks == nil {
		return nil
	}
	for i, o := range p.Res.Ops {
		if !p.Res.View[i] && can.Lacks(o) {
			return fmt.Errorf("%w: step %d (%s): the device %s has no such operator, and none may run elsewhere", plan.ErrInvalid, i, o.Name(), e.device.Info().Kind)
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
		if k := (WeightKey{p.Plan().Values[v].Hash, l}); !seen[k] {
			seen[k] = true
			p.keysOf[k.hash] = append(p.keysOf[k.hash], len(p.keys))
			p.keys, p.keyOf = append(p.keys, k), append(p.keyOf, v)
		}
	}
}
