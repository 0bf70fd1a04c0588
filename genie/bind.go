package genie

import (
	"context"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// loop is what a session knows of one program between its runs. It is stored with
// the program's graph, and used with the session's turn.
type loop struct {
	*carried
	p     *program
	state string // what the names of its states begin with; empty for none yet

	prepared map[*plan.Plan]transport.PlanRef

	fedCarry bool // the feed of this run has a carried input

	sizes sizes
	names plan.Bindings // sizes by name, for dimensions that are expressions

	// The schedule of the last run, which the next run most likely uses again.
	last struct {
		sch     *scheduled
		profile semantic.Profile
		keep    bool
		state   string
		sizes   uint64 // see [loop.sizeClass]
		outputs []*lazy.Tensor
	}
}

func newLoop(p *program) *loop {
	return &loop{
		carried: newCarried(p), p: p, prepared: map[*plan.Plan]transport.PlanRef{}, sizes: make(sizes, len(p.symbols)), names: plan.Bindings{},
	}
}

// takeOver continues where old was, whose program has grown into this one: what
// it had comes first in every list.
func (l *loop) takeOver(old *loop) {
	if len(old.p.carries) == 0 {
		return
	}
	l.state = old.state
	if len(old.p.carries) == len(l.p.carries) {
		l.carried = old.carried
		return
	}
	if !old.ran {
		return
	}
	l.ran, l.byValue, l.gone = true, old.byValue, old.gone
	copy(l.next, old.next)
	copy(l.data, old.data)
	copy(l.shape, old.shape)
	if n := len(old.p.carries); l.gone == nil {
		l.gone = fmt.Errorf("%w: %q of %q is carried only since the session has state, Reset starts again", ErrState, l.p.carries[n].t.Name(), l.p.graph.Name())
	}
}

// bind determines the sizes of all symbols from fed and carried values.
func (l *loop) bind(feed Feed) error {
	for i := range l.sizes {
		l.sizes[i] = unbound
	}
	l.fedCarry = false
	for name, v := range feed {
		in := l.p.inputs[name]
		if in == nil {
			return fmt.Errorf("%w: the program %q has no input %q", ErrUnknownInput, l.p.graph.Name(), name)
		}
		if v == nil {
			return fmt.Errorf("%w: input %q is fed nil", ErrUnknownInput, name)
		}
		if err := l.bindInput(in, v.DType(), v.Shape()); err != nil {
			return err
		}
		l.fedCarry = l.fedCarry || in.carry >= 0
	}
	if err := l.bindCarried(feed); err != nil {
		return err
	}
	clear(l.names)
	for i, n := range l.sizes {
		if n != unbound {
			l.names[l.p.symbols[i]] = n
		}
	}
	for name, v := range feed {
		in := l.p.inputs[name]
		for d, di := range in.dims {
			if di.symbol >= 0 {
				continue
			}
			if n, err := di.dim.Eval(l.names); err != nil || n != v.Shape()[d] {
				return fmt.Errorf("%w: input %q is %v, fed shape %v", ErrShape, name, in.t.Spec(), v.Shape())
			}
		}
	}
	return nil
}

func (l *loop) bindInput(in *inputInfo, dt plan.DType, shape []int) error {
	if dt != in.t.DType() {
		return fmt.Errorf("%w: input %q is %v, fed %v", ErrDType, in.t.Name(), in.t.DType(), dt)
	}
	if len(shape) != len(in.dims) {
		return fmt.Errorf("%w: input %q is %v, fed shape %v", ErrShape, in.t.Name(), in.t.Spec(), shape)
	}
	for d, di := range in.dims {
		if di.symbol >= 0 {
			if err := l.sizes.set(l.p, di.symbol, shape[d], "input "+in.t.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// bindCarried adds the sizes of the carried values that are not fed.
func (l *loop) bindCarried(feed Feed) error {
	if len(l.p.carries) == 0 {
		return nil
	}
	for i, in := range l.p.carries {
		if l.byValue && l.data[i] != nil && feed[in.t.Name()] == nil {
			if err := l.bindInput(in, in.t.DType(), l.shape[i]); err != nil {
				return err
			}
		}
	}
	// Shared sizes hold for the pairs that stay where they are. A fed value may
	// start another loop, and has its own sizes.
	if l.ran && !l.fedCarry {
		for i, n := range l.p.next {
			if err := l.sizes.set(l.p, n.symbol, l.next[i], "a carried value"); err != nil {
				return err
			}
		}
		return nil
	}
	for _, in := range l.p.carries {
		for _, di := range in.dims {
			if di.symbol >= 0 && l.sizes[di.symbol] == unbound {
				l.sizes[di.symbol] = 0
			}
		}
	}
	return nil
}

// schedule finds the plan for a run with the sizes from bind.
func (s *Session) schedule(ctx context.Context, l *loop, feed Feed, keep bool, outputs []*lazy.Tensor) (*scheduled, error) {
	profile, err := l.p.srg.ProfileOf(l.names)
	if err != nil {
		return nil, err
	}
	fed, class := l.fed(feed), uint64(0)
	if s.c.view != nil {
		class = l.sizeClass()
	}
	if m := &l.last; m.sch != nil && fed == nil && m.profile == profile && m.keep == keep && m.state == l.state && m.sizes == class && slices.Equal(m.outputs, outputs) {
		return m.sch, nil
	}
	sch, err := l.p.schedule(ctx, s.c.opts.policy, wanted{profile, keep, fed, l.state, outputs, s.c.placing(l.p, l.names, class)})
	if err == nil && fed == nil {
		l.last.sch, l.last.profile, l.last.keep, l.last.state, l.last.sizes, l.last.outputs = sch, profile, keep, l.state, class, slices.Clone(outputs)
	}
	return sch, err
}

// fed lists the carried pairs whose value the client has: from the feed, or
// from a run that began with the feed.
func (l *loop) fed(feed Feed) []int {
	if !l.byValue && !l.fedCarry {
		return nil
	}
	var out []int
	for i, in := range l.p.carries {
		if l.data[i] != nil || feed[in.t.Name()] != nil {
			out = append(out, i)
		}
	}
	return out
}

// carry remembers the carried pairs after a run.
func (l *loop) carry(sch *scheduled, outputs func(i int) []byte) error {
	for i, n := range l.p.next {
		size, err := n.dim.Eval(l.names)
		if err != nil {
			return err
		}
		l.next[i] = size
	}
	l.ran = true
	if sch.allStay {
		return nil
	}
	for i, place := range sch.Carries {
		if place.State != "" {
			l.data[i] = nil
			continue
		}
		l.byValue = true
		shape, err := l.p.graph.Carries()[i].Out.Shape().Eval(l.names)
		if err != nil {
			return err
		}
		l.shape[i], l.data[i] = shape, outputs(place.Output)
		if l.data[i] == nil {
			l.data[i] = []byte{}
		}
	}
	return nil
}
