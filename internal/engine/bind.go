package engine

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func newBinding(p *Program, e *Engine) *binding {
	b := &binding{
		prog: p, sizes: make([]int64, len(p.Symbols())+len(p.Plan().States)),
		arrays: make([]op.Array, len(p.Places)), dims: make([][]int, len(p.Classes)), elems: make([]int, len(p.Classes)),
		bufSize: make([]int, p.Buffers), bufOff: make([]int, p.Buffers),
		steps: make([]step, len(p.Groups)), weights: make([]*weight, len(p.Places)),
		states: make([]*state, len(p.Plan().States)), job: newJob(),
	}
	total := 0
	for c := range p.Classes {
		total += len(p.Classes[c].Dims)
	}
	ints := make([]int, total)
	for c := range p.Classes {
		n := len(p.Classes[c].Dims)
		b.dims[c], ints = ints[:n:n], ints[n:]
	}
	for v, x := range p.Places {
		b.arrays[v] = op.Array{DType: p.Plan().Values[v].Spec.DType, Shape: b.dims[x.Shape], Strides: b.dims[x.Strides]}
	}
	b.stateMem = make([]*byte, len(p.Plan().States))
	b.side = newSideBySide(p)
	b.bufNeed = make([]int, p.Buffers)
	b.member.wake = make(chan struct{}, 1)
	b.pads = []*pad{{more: &e.arenas}}
	if len(p.Lanes) > 0 {
		b.pads = append(b.pads, &pad{more: &e.arenas})
	}
	b.padNeed = make([]int, len(b.pads))
	b.call.inputs = make([][]byte, len(p.Plan().Inputs))
	b.call.staged = make([][]byte, len(p.Plan().Inputs))
	scratch, halt := &sampler{}, b.call.pace.halt
	var second *job
	var secondScratch *sampler
	for i := range p.Groups {
		g := &p.Groups[i]
		s := step{op: p.Res.Ops[g.Steps[0]], group: g, out: &b.arrays[g.Out], job: b.job, pool: e.pool, halt: halt, scratch: scratch, pad: b.pads[p.padOf(i)], elements: p.elements[i]}
		for _, v := range g.In {
			s.in = append(s.in, &b.arrays[v])
		}
		for _, st := range g.Stages {
			if st.Value >= 0 {
				s.with = append(s.with, &b.arrays[st.Value])
			} else {
				s.with = append(s.with, nil)
			}
		}
		if v := g.Attend.Start; g.Kind == program.Attend && v >= 0 {
			s.start = &b.arrays[v]
		}
		s.scale = 1
		if v := g.Attend.Scale; g.Kind == program.Attend && v >= 0 {
			s.scale = (&op.Array{Data: p.Plan().Values[v].Const}).F32()[0]
		}
		if g.Kind == program.Convolve {
			s.arrays, s.prog = b.arrays, p
			if v := g.Conv.Residual; v >= 0 {
				s.residual = &b.arrays[v]
			}
		}
		if p.LaneOf(i) == 1 { // at one time with the first
			if i == p.Lanes[1].From {
				second, secondScratch = newJob(), &sampler{}
			}
			s.job, s.scratch = second, secondScratch
		}
		b.steps[i] = s
	}
	return b
}

// findWeights resolves the program's weights once.
func (b *binding) findWeights(ctx context.Context, e *Engine) error {
	p := b.prog
	if b.ready {
		return nil
	}
	for v, l := range p.layout {
		if b.weights[v] != nil {
			continue
		}
		w := e.store.get(WeightKey{p.Plan().Values[v].Hash, l})
		if w == nil {
			return fmt.Errorf("%w: %q (%v)", transport.ErrMissingWeight, p.Plan().Values[v].Name, p.Plan().Values[v].Hash)
		}
		b.weights[v] = w
	}
	for i := range p.Groups {
		st, in := &b.steps[i], p.Groups[i].In
		j := 0
		switch st.op.(type) {
		case op.MatMul:
			j = 1
		case op.Embedding:
		default:
			continue
		}
		if p.Plan().Values[in[j]].Kind == plan.KindWeight && p.layout[in[j]].form != dense {
			st.packed = b.weights[in[j]]
		}
	}
	if err := b.findFilters(ctx, e); err != nil {
		return err
	}
	b.ready = true
	return nil
}

// setSizes stores the bindings and tells which symbols changed, as a mask; all
// of them when nothing is valid.
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

// evalClasses computes the dimensions that depend on changed symbols.
func (b *binding) evalClasses(changed uint64) error {
	for c := range b.prog.Classes {
		k := &b.prog.Classes[c]
		if b.valid && k.Mask&changed == 0 {
			continue
		}
		// Eight bytes is the largest element.
		n, ok := int64(8), true
		for i := range k.Dims {
			d, dok := k.Dims[i].Eval(b.sizes)
			if b.dims[c][i] = d; dok && ok {
				n, ok = plan.MulChecked(n, int64(max(d, 1)))
			}
			if !dok && k.Why != "" {
				return fmt.Errorf("%w: %s at %v=%v", transport.ErrShape, k.Why, b.prog.Symbols(), b.sizes[:len(b.prog.Symbols())])
			}
			if !dok || !ok && k.Size {
				return fmt.Errorf("%w: dimension %v is out of range at %v=%v", transport.ErrShape, k.Text[i], b.prog.Symbols(), b.sizes[:len(b.prog.Symbols())])
			}
		}
		b.elems[c] = -1 // too many; no error for strides, whose product means nothing
		if ok {
			b.elems[c] = int(n / 8)
			for _, d := range b.dims[c] {
				if d == 0 {
					b.elems[c] = 0
				}
			}
		}
	}
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
		in, rows := b.dims[b.prog.Places[d.In].Shape], 0
		if d.Mode == plan.StateAppend {
			rows = b.dims[b.prog.Places[d.Out].Shape][d.Axis]
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

// sees takes over where state i lies, and reports whether its capacity is
// another than before.
func (b *binding) sees(i int, st *state) bool {
	if b.states[i] != st || b.stateMem[i] != unsafe.SliceData(st.mem) {
		b.moved = true
	}
	b.states[i], b.stateMem[i] = st, unsafe.SliceData(st.mem)
	c := &b.sizes[len(b.prog.Symbols())+i]
	changed := *c != int64(st.capacity)
	*c = int64(st.capacity)
	return changed
}

// fitBuffers makes the scratch buffers large enough. Room beyond the need,
// once a buffer grows, keeps the layout as it is over many steps of a sequence
// that gets longer.
func (b *binding) fitBuffers(changed uint64, limit int64) error {
	if fit := b.fitPads(changed); fit && b.valid && !b.outgrown(changed) {
		return nil
	}
	need := b.bufNeed
	clear(need)
	for _, v := range b.prog.Roots {
		k := b.prog.Places[v].Buffer
		need[k] = max(need[k], b.bytes(v))
	}
	total := 0
	for k, n := range need {
		if b.valid && n > b.bufSize[k] && b.bufSize[k] > 0 {
			n += n / 4
		}
		b.bufSize[k], b.bufOff[k] = n, total
		if total += align(n); int64(total) > limit {
			return fmt.Errorf("%w: the run needs more than %d bytes of scratch memory", transport.ErrLimit, limit)
		}
	}
	for k, p := range b.pads {
		n := b.padNeed[k]
		if b.valid && n > p.size && p.size > 0 {
			n += n / 4
		}
		p.off, p.size = total, align(n)
		if total += p.size; int64(total) > limit {
			return fmt.Errorf("%w: the run needs more than %d bytes of scratch memory", transport.ErrLimit, limit)
		}
	}
	b.total, b.placed = total, nil
	return nil
}

// bytes is the size of a scratch root.
func (b *binding) bytes(v int) int {
	p := &b.prog.Places[v]
	return b.elems[p.Shape] * int(p.Size)
}

// outgrown reports whether a root that changed needs a larger buffer, or
// everything got so much smaller that less memory would do.
func (b *binding) outgrown(changed uint64) bool {
	for i, roots := range b.prog.RootsOf {
		if changed>>i&1 == 0 {
			continue
		}
		for _, v := range roots {
			if n, size := b.bytes(v), b.bufSize[b.prog.Places[v].Buffer]; n > size {
				return true
			}
		}
		if changed&^(1<<i) != 0 {
			return true // several sizes at once: another kind of run
		}
	}
	return false
}

// checkViews checks the views that changed against their bases.
func (b *binding) checkViews(changed uint64) error {
	if !b.valid {
		return b.checkViewList(b.prog.Views)
	}
	for i, views := range b.prog.ViewsOf {
		if changed>>i&1 != 0 {
			if err := b.checkViewList(views); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *binding) checkViewList(views []int) error {
	for _, v := range views {
		if n, has := b.reach(v), b.extent(int(b.prog.Places[v].Base)); n < 0 || n > has {
			return fmt.Errorf("%w: value %d reaches element %d of the %d of value %d", transport.ErrShape, v, n, has, b.prog.Places[v].Base)
		}
	}
	return nil
}

// reach is the number of elements of its base that a value reaches over; 0
// for an empty value, -1 for a number that is too large.
func (b *binding) reach(v int) int {
	p := &b.prog.Places[v]
	shape, strides := b.dims[p.Shape], b.dims[p.Strides]
	n := int64(b.dims[p.Offset][0])
	for i, d := range shape {
		if d == 0 {
			return 0
		}
		r, ok := plan.MulChecked(int64(d-1), int64(strides[i]))
		if n += r; !ok || n > plan.MaxDimSize {
			return -1
		}
	}
	return int(n) + 1
}

// extent is the number of elements of a base's memory.
func (b *binding) extent(v int) int {
	p := &b.prog.Places[v]
	if p.State >= 0 {
		return len(b.states[p.State].mem) / int(p.Size)
	}
	return b.elems[p.Shape]
}

// place points the values at their memory: all of them when the arena is
// another than at the last run, else only what changed.
func (b *binding) place(arena []byte, inputs [][]byte) {
	for i, in := range b.prog.Plan().Inputs {
		b.arrays[in.Value].Data = inputs[i]
	}
	if b.placed == nil || unsafe.SliceData(b.placed) != unsafe.SliceData(arena) {
		b.placeAll(b.prog.Order, arena)
		for _, p := range b.pads {
			p.place(arena)
		}
	} else {
		b.placeAll(b.prog.OfInput, arena)
		for i, views := range b.prog.ViewsOf {
			if b.changed>>i&1 != 0 {
				b.placeAll(views, arena)
			}
		}
		if b.moved {
			b.placeAll(b.prog.OfState, arena)
		}
	}
	b.placed, b.changed, b.moved = arena, 0, false
}

// placeAll gives each value the rest of its base's memory from its first
// element on; checkViews has made sure that its last element is in there.
func (b *binding) placeAll(values []int, arena []byte) {
	for _, v := range values {
		p, a := &b.prog.Places[v], &b.arrays[v]
		switch {
		case int(p.Base) != v:
			from := b.arrays[p.Base].Data
			a.Data = from[min(b.dims[p.Offset][0]*int(p.Size), len(from)):]
		case p.State >= 0:
			a.Data = b.states[p.State].mem
		case p.Kind == plan.KindWeight:
			a.Data = b.weights[v].data
		case p.Kind == plan.KindConst:
			a.Data = b.prog.Plan().Values[v].Const
		case p.Kind == plan.KindTemp:
			off, n := b.bufOff[p.Buffer], b.bufSize[p.Buffer]
			a.Data = arena[off : off+n : off+n]
		}
	}
}
