package engine

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func newBinding(p *Program) *binding {
	b := &binding{prog: p, bound: program.NewBound(p.Program), states: make([]*state, len(p.Plan().States))}
	b.need = make([]int, len(b.bound.Workspaces))
	b.run = p.code.NewRun(b.bound, &b.call.pace)
	b.batchCall.wake = make(chan struct{}, 1)
	b.batchCall.call = &b.call
	b.runWhole = b.call.run
	b.call.staged = make([][]byte, len(p.Plan().Inputs))
	b.place.Inputs = make([]device.Input, len(p.Plan().Inputs))
	b.place.States = make([]device.Pages, len(p.Plan().States))
	b.seen = make([]uint64, len(p.Plan().States))
	return b
}

// findWeights resolves the program's weights once.
func (b *binding) findWeights(ctx context.Context, on *incarnation) error {
	if b.ready {
		return nil
	}
	p := b.prog
	weights := make([]device.Weight, len(p.Plan().Values))
	for v, l := range p.layout {
		w := on.store.get(on.key(p.Plan().Values[v].Hash, l))
		if w == nil {
			return fmt.Errorf("%w: %q (%v)", transport.ErrMissingWeight, p.Plan().Values[v].Name, p.Plan().Values[v].Hash)
		}
		weights[v] = w.on
	}
	if err := b.run.Prepare(ctx, weights); err != nil {
		return err
	}
	b.ready = true
	return nil
}

// fitStates finds the session's state for each of the plan's, and lists those
// that must grow.
func (b *binding) fitStates(s *Session) (grown bool, err error) {
	p := b.prog.Plan()
	b.growing = b.growing[:0]
	if b.resets != s.resets {
		clear(b.states)
		b.resets = s.resets
	}
	for i := range p.States {
		d := &p.States[i]
		in, rows := b.bound.Shape(d.In), 0
		if d.Mode == plan.StateAppend {
			rows = b.bound.Shape(d.Out)[d.Axis]
		}
		old := b.states[i]
		st, err := s.fit(old, d, b.prog.StateTypes[i], in)
		if err != nil {
			return grown, err
		}
		if more, err := b.outgrows(s, i, st, rows); err != nil {
			return grown, err
		} else if more {
			continue
		}
		if old == nil {
			s.states[d.Name] = st
		}
		grown = b.sees(i, st) || grown
	}
	return grown, nil
}

// fitBuffers makes the scratch buffers large enough.
func (b *binding) fitBuffers(changed uint64, limit int64) error {
	if !b.bound.Valid() || changed != 0 {
		b.run.Workspaces(b.need)
	}
	moved, err := b.bound.FitBuffers(changed, b.need, limit)
	if moved {
		b.run.Forget()
	}
	return err
}

// checkViews checks the changed views against their bases.
func (b *binding) checkViews(changed uint64) error {
	return b.bound.CheckViews(changed, func(i int) int { return b.states[i].size() })
}
