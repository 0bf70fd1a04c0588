package engine

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func newBinding(p *Program, e *Engine) *binding {
	b := &binding{
		prog: p, sizes: make([]int64, len(p.symbols)+len(p.plan.States)),
		arrays: make([]op.Array, len(p.values)), need: make([]int, len(p.values)),
		bufSize: make([]int, p.plan.Buffers), bufOff: make([]int, p.plan.Buffers),
		steps: make([]step, len(p.plan.Steps)), weights: make([]*weight, len(p.values)),
		states: make([]*state, len(p.plan.States)), job: newJob(),
	}
	b.call.inputs = make([][]byte, len(p.plan.Inputs))
	b.call.staged = make([][]byte, len(p.plan.Inputs))
	for v := range p.values {
		n := len(p.values[v].shape)
		ints := make([]int, 2*n)
		b.arrays[v] = op.Array{DType: p.plan.Values[v].Spec.DType, Shape: ints[:n:n], Strides: ints[n:]}
	}
	scratch := &op.SampleScratch{}
	for _, i := range p.exec {
		ps := &p.plan.Steps[i]
		s := step{op: p.res.Ops[i], out: &b.arrays[ps.Out], job: b.job, pool: e.pool, scratch: scratch}
		for _, v := range ps.In {
			s.in = append(s.in, &b.arrays[v])
		}
		b.steps[i] = s
	}
	return b
}

// findWeights resolves the program's weights once.
func (b *binding) findWeights(e *Engine) error {
	p := b.prog
	for v, l := range p.layout {
		if b.weights[v] != nil {
			continue
		}
		w := e.store.get(weightKey{p.plan.Values[v].Hash, l})
		if w == nil {
			return fmt.Errorf("%w: %q (%v)", transport.ErrMissingWeight, p.plan.Values[v].Name, p.plan.Values[v].Hash)
		}
		b.weights[v] = w
	}
	for _, i := range p.exec {
		st, in := &b.steps[i], p.plan.Steps[i].In
		j := 0
		switch st.op.(type) {
		case op.MatMul:
			j = 1
		case op.Embedding:
		default:
			continue
		}
		if p.layout[in[j]] == panels && p.plan.Values[in[j]].Kind == plan.KindWeight {
			st.panel = panels
			st.packed = (&op.Array{Data: b.weights[in[j]].data}).F32()
		}
	}
	return nil
}

// setSizes stores the bindings and tells which symbols changed.
func (b *binding) setSizes(bindings []int) (changed uint64) {
	for i, n := range bindings {
		if b.sizes[i] != int64(n) {
			b.sizes[i] = int64(n)
			changed |= 1 << i
		}
	}
	if !b.valid {
		changed = ^uint64(0)
	}
	return changed
}

func (b *binding) affected(v int, changed uint64) bool {
	return !b.valid || b.prog.values[v].mask&changed != 0
}

func (b *binding) evalShapes(changed uint64) error {
	for v := range b.prog.values {
		if !b.affected(v, changed) {
			continue
		}
		x, a := &b.prog.values[v], &b.arrays[v]
		n := int64(a.DType.Size())
		for i := range x.shape {
			d, ok := x.shape[i].eval(b.sizes)
			if ok {
				n, ok = plan.MulChecked(n, int64(max(d, 1)))
			}
			if !ok {
				return fmt.Errorf("%w: dimension %v of value %d is out of range at %v=%v", transport.ErrShape, b.prog.plan.Values[v].Spec.Shape[i], v, b.prog.symbols, b.sizes[:len(b.prog.symbols)])
			}
			a.Shape[i] = d
		}
	}
	return nil
}

// fitStates finds the session's state for each of the plan's and makes room.
func (b *binding) fitStates(s *Session) error {
	p := b.prog.plan
	for i, d := range p.States {
		in, rows := &b.arrays[d.In], 0
		if d.Mode == plan.StateAppend {
			rows = b.arrays[d.Out].Shape[d.Axis]
		}
		st, err := s.fit(d, in.DType, in.Shape, rows)
		if err != nil {
			return err
		}
		b.states[i] = st
		b.sizes[len(b.prog.symbols)+i] = int64(st.capacity)
	}
	return nil
}

// evalLayouts computes strides, checks every view against its base, and lays
// out the scratch buffers.
func (b *binding) evalLayouts(changed uint64, limit int64) error {
	capacities := uint64(1) << len(b.prog.symbols)
	any := false
	for v := range b.prog.values {
		if !b.affected(v, changed|capacities) {
			continue
		}
		any = true
		if err := b.layout(v); err != nil {
			return err
		}
	}
	if !any {
		return nil
	}
	clear(b.bufSize)
	for v := range b.prog.values {
		if b.prog.res.InScratch(v) {
			k := b.prog.plan.Values[v].Buffer
			b.bufSize[k] = max(b.bufSize[k], b.arrays[v].Len()*b.arrays[v].DType.Size())
		}
	}
	total := 0
	for k, n := range b.bufSize {
		b.bufOff[k] = total
		if total += align(n); int64(total) > limit {
			return fmt.Errorf("%w: the run needs more than %d bytes of scratch memory", transport.ErrLimit, limit)
		}
	}
	b.total = total
	return nil
}

// layout computes the strides of v and checks that it lies within its base.
func (b *binding) layout(v int) error {
	x, a := &b.prog.values[v], &b.arrays[v]
	off, ok := x.offset.eval(b.sizes)
	reach, empty := int64(off), false
	for i := range x.strides {
		var st int
		var sok bool
		if st, sok = x.strides[i].eval(b.sizes); !sok {
			ok = false
			break
		}
		a.Strides[i] = st
		if a.Shape[i] == 0 {
			empty = true
			continue
		}
		r, mok := plan.MulChecked(int64(a.Shape[i]-1), int64(st))
		ok = ok && mok
		reach += r
	}
	if !ok || reach < 0 {
		return fmt.Errorf("%w: value %d does not fit into memory", transport.ErrShape, v)
	}
	b.need[v] = int(reach) + 1
	if empty {
		b.need[v] = 0
	}
	base := b.prog.res.Base[v]
	if base != v && b.need[v] > b.extent(base) {
		return fmt.Errorf("%w: value %d reaches element %d of the %d of value %d", transport.ErrShape, v, b.need[v], b.extent(base), base)
	}
	return nil
}

// extent is the number of elements of a base's memory.
func (b *binding) extent(v int) int {
	if s := b.prog.res.State[v]; s >= 0 {
		return len(b.states[s].mem) / b.arrays[v].DType.Size()
	}
	return b.arrays[v].Len()
}

// place points every value at its memory.
func (b *binding) place(arena []byte, inputs [][]byte) error {
	p, res := b.prog.plan, b.prog.res
	for i, in := range p.Inputs {
		b.arrays[in.Value].Data = inputs[i]
	}
	for v := range p.Values {
		a := &b.arrays[v]
		base := res.Base[v]
		switch {
		case base != v:
			continue
		case res.State[v] >= 0:
			a.Data = b.states[res.State[v]].mem
		case p.Values[v].Kind == plan.KindWeight:
			a.Data = b.weights[v].data
		case p.Values[v].Kind == plan.KindConst:
			a.Data = p.Values[v].Const
		case p.Values[v].Kind == plan.KindTemp:
			k := p.Values[v].Buffer
			n := a.Len() * a.DType.Size()
			if n > b.bufSize[k] {
				return fmt.Errorf("%w: value %d outgrew its buffer", transport.ErrInternal, v)
			}
			a.Data = arena[b.bufOff[k] : b.bufOff[k]+n : b.bufOff[k]+n]
		}
	}
	for v := range p.Values {
		if base := res.Base[v]; base != v {
			a, from := &b.arrays[v], b.arrays[base].Data
			size := a.DType.Size()
			off, _ := b.prog.values[v].offset.eval(b.sizes)
			if b.need[v] == 0 {
				a.Data = nil
				continue
			}
			if b.need[v]*size > len(from) {
				return fmt.Errorf("%w: value %d lies outside its base", transport.ErrInternal, v)
			}
			a.Data = from[off*size : b.need[v]*size]
		}
	}
	return nil
}
