package cpu

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// NewRun implements [device.Code].
func (c *code) NewRun(b *program.Bound, ctl device.Control) device.Run {
	p := c.prog
	r := &run{
		d: c.d, code: c, prog: p, bound: b, ctl: ctl, halt: ctl.Halt,
		arrays: make([]op.Array, len(p.Places)), steps: make([]step, len(p.Groups)),
		weights: make([]*weight, len(p.Places)), states: make([]pages, len(p.Plan().States)), job: newJob(),
	}
	for v := range p.Places {
		r.arrays[v] = op.Array{DType: p.Plan().Values[v].Spec.DType, Shape: b.Shape(v), Strides: b.Strides(v)}
	}
	for range b.Workspaces {
		r.work = append(r.work, &workspace{d: c.d})
	}
	r.lanes = newLanes(r)
	scratch := &sampler{}
	var second *job
	var secondScratch *sampler
	for i := range p.Groups {
		s := r.newStep(i, scratch)
		if p.LaneOf(i) == 1 { // concurrent with the first
			if i == p.Lanes[1].From {
				second, secondScratch = newJob(), &sampler{}
			}
			s.job, s.scratch = second, secondScratch
		}
		r.steps[i] = s
	}
	return r
}

func (r *run) newStep(i int, scratch *sampler) step {
	p := r.prog
	g := &p.Groups[i]
	s := step{
		op: p.Res.Ops[g.Steps[0]], group: g, out: &r.arrays[g.Out], job: r.job, pool: r.d.pool,
		halt: r.halt, scratch: scratch, work: r.work[r.code.laneOf(i)], elements: r.code.elements[i],
	}
	for _, v := range g.In {
		s.in = append(s.in, &r.arrays[v])
	}
	if s.blocks = r.code.blocks[i]; s.blocks != nil {
		s.nest = new(nest)
	}
	if copying[r.code.kernels[i].name] {
		s.copier = new(copier)
	}
	if need := denseKernels[r.code.kernels[i].name]; need != nil {
		s.inputs = &copiedInputs{need: need}
		s.copier = &s.inputs.copier
	}
	if isPool(s.op) {
		s.pooling, s.copier = new(pooling), new(copier)
	}
	switch r.code.kernels[i].name {
	case resizeName:
		s.resizing = new(resizing)
	case transposeName:
		s.transposing, s.copier = new(transposing), new(copier)
	case recurrentName:
		s.recurring = new(recurring)
	case padName:
		s.pads = new(padding)
	}
	if reductions[r.code.kernels[i].name] {
		s.reducing = new(reducing)
	}
	for _, st := range g.Stages {
		if st.Value >= 0 {
			s.with = append(s.with, &r.arrays[st.Value])
		} else {
			s.with = append(s.with, nil)
		}
	}
	if g.Kind == program.Attend {
		r.bindAttention(&s)
	} else if len(g.In) > 0 {
		s.values = r.pagesOf(g.Out)
	}
	if g.Kind == program.Convolve {
		s.arrays, s.prog = r.arrays, p
		if v := g.Conv.Residual; v >= 0 {
			s.residual = &r.arrays[v]
		}
	}
	return s
}

// bindAttention finds what an attention reads in addition to its operands.
func (r *run) bindAttention(s *step) {
	g := s.group
	s.keys, s.values = r.pagesOf(g.In[1]), r.pagesOf(g.In[2])
	if v := g.Attend.Start; v >= 0 {
		s.start = &r.arrays[v]
	}
	if v := g.Attend.Mask; v >= 0 {
		s.mask = &r.arrays[v]
	}
	for _, v := range g.In {
		if !r.prog.DenseRows(v) {
			s.copied = &copies{}
		}
	}
}

// pagesOf is the pages that store a value; nil for none.
func (r *run) pagesOf(v int) *pages {
	if i := r.prog.StateOf(v); i >= 0 {
		return &r.states[i]
	}
	return nil
}

// Prepare implements [device.Run].
func (r *run) Prepare(ctx context.Context, weights []device.Weight) error {
	if r.ready {
		return nil
	}
	p := r.prog
	for v := range r.code.layout {
		if w, ok := weights[v].(*weight); ok {
			r.weights[v] = w
		}
	}
	for i := range p.Groups {
		st, in := &r.steps[i], p.Groups[i].In
		j := 0
		switch st.op.(type) {
		case op.MatMul:
			j = 1
		case op.Embedding:
		default:
			continue
		}
		if p.Plan().Values[in[j]].Kind == plan.KindWeight && r.code.layout[in[j]].kind != dense {
			st.packed = r.weights[in[j]]
		}
	}
	if err := r.findFilters(ctx); err != nil {
		return err
	}
	r.ready = true
	return nil
}

// Workspaces implements [device.Run].
func (r *run) Workspaces(need []int) {
	clear(need)
	for _, i := range r.code.worked {
		k := r.code.laneOf(i)
		need[k] = max(need[k], r.steps[i].workspace())
	}
}

// drawBytes is the memory of drawing from a row, by element: its copy, the
// weights, the largest, and candidates of the reference.
const drawBytes = 4 + 8 + 8 + 24

// heapNeeds is the heap memory of kernels, by operator, where there is any.
var heapNeeds = map[string]func(s *step) int64{
	"sample": func(s *step) int64 { return drawBytes * int64(s.in[0].Shape[len(s.in[0].Shape)-1]) },
	"reduce": func(s *step) int64 { return 8 * int64(s.out.Len()) },
	"lstm":   recurrentHeap, "gru": recurrentHeap, "rnn": recurrentHeap,
}

// recurrentHeap is the biases, gates and states of a sequence in float64.
func recurrentHeap(s *step) int64 { return 8 * 3 * int64(s.in[3].Shape[1]) }

// heapNeed is the heap memory of an operator's kernel, nil for none.
func heapNeed(o op.Op) func(s *step) int64 {
	if c, ok := o.(op.Custom); ok {
		return func(s *step) int64 { return c.Copied(s.out, s.in) }
	}
	return heapNeeds[o.Name()]
}

// Heap implements [device.Run].
func (r *run) Heap() (n int64) {
	for _, d := range r.code.drawn {
		n = max(n, d.need(&r.steps[d.group]))
	}
	return n
}

// Forget implements [device.Run].
func (r *run) Forget() { r.placed = nil }

// Place implements [device.Run]: all values when the arena differs from that of
// the last run, else only what changed.
func (r *run) Place(p device.Placement) error {
	for i, in := range r.prog.Plan().Inputs {
		data := p.Inputs[i].Data
		if b := p.Inputs[i].Buffer; b != nil {
			data = bytes(b)
		}
		r.arrays[in.Value].Data = data
	}
	arena := bytes(p.Arena)
	if p.Moved || r.placed == nil {
		for i := range p.States {
			r.states[i].set(&p.States[i])
		}
	}
	if r.placed == nil || unsafe.SliceData(r.placed) != unsafe.SliceData(arena) {
		r.placeAll(r.prog.Order, arena)
		for k, w := range r.work {
			x := r.bound.Workspaces[k]
			w.place(arena[x.Off : x.Off+x.Size : x.Off+x.Size])
		}
	} else {
		r.placeAll(r.prog.OfInput, arena)
		for i, views := range r.prog.ViewsOf {
			if p.Changed>>i&1 != 0 {
				r.placeAll(views, arena)
			}
		}
		if p.Moved {
			r.placeAll(r.prog.OfState, arena)
		}
	}
	r.placed = arena
	return nil
}

// placeAll gives each value the rest of its base's memory from its first
// element on; [program.Bound.CheckViews] has ensured that its last element is
// within it.
func (r *run) placeAll(values []int, arena []byte) {
	b := r.bound
	for _, v := range values {
		p, a := &r.prog.Places[v], &r.arrays[v]
		switch {
		case int(p.Base) != v:
			from := r.arrays[p.Base].Data
			a.Data = from[min(b.Dims[p.Offset][0]*int(p.Size), len(from)):]
		case p.State >= 0:
			a.Data = r.states[p.State].first()
		case p.Kind == plan.KindWeight:
			if w := r.weights[v]; w != nil { // nil where no group reads it
				a.Data = w.data
			}
		case p.Kind == plan.KindConst:
			a.Data = r.prog.Plan().Values[v].Const
		case p.Kind == plan.KindTemp:
			x := b.Buffers[p.Buffer]
			a.Data = arena[x.Off : x.Off+x.Size : x.Off+x.Size]
		}
	}
}

// Groups implements [device.Run].
func (r *run) Groups(from, to int, times []time.Duration) (n int, err error) {
	n = from
	defer func() {
		if p := recover(); p != nil {
			err = device.Caught(p)
		}
	}()
	if r.lanes != nil && from == 0 && to == len(r.prog.Groups) {
		if n, err = r.lanes.run(times); err != nil {
			return n, err
		}
	}
	err = r.inOrder(&n, to, times)
	return n, err
}

// Wait implements [device.Run]: groups have run when Groups returns.
func (*run) Wait(n int) (int, error) { return n, nil }

// askEvery is the number of groups between two checks whether to stop or to let
// others go first; in between, the loop sees the results of the kernels' own
// checks.
const askEvery = 8

// inOrder runs the groups from n up to to. It keeps what it needs for each in
// variables: the kernels' weights pass through the caches between two accesses
// to memory.
func (r *run) inOrder(n *int, to int, times []time.Duration) error {
	kernels, steps, ctl, fault := r.code.kernels, r.steps, r.ctl, r.d.opts.Fault
	var began time.Time
	if times != nil {
		began = time.Now()
	}
	for i := *n; i < to; i++ {
		*n = i
		if (i%askEvery == 0 || i == to-1) && ctl.Halt() {
			return op.ErrHalted
		}
		if fault != nil {
			fault("kernel")
		}
		var start time.Duration
		if times != nil {
			start = time.Since(began) // reads one clock, not two
		}
		err := kernels[i].compute(&steps[i])
		if times != nil {
			times[i] = time.Since(began) - start
		}
		if ctl.Halted() { // the kernel may not have finished
			return op.ErrHalted
		}
		if err != nil {
			return err
		}
	}
	*n = to
	return nil
}

// View implements [device.Run].
func (r *run) View(v int) []byte {
	a := &r.arrays[v]
	if !a.Contiguous() {
		return nil
	}
	return a.Data[:a.Len()*a.DType.Size()]
}

// Read implements [device.Run].
func (r *run) Read(v int, dst []byte) error {
	a := &r.arrays[v]
	if n := a.Len() * a.DType.Size(); n > len(dst) {
		return fmt.Errorf("%w: value %d has %d bytes, the memory for it %d", transport.ErrInternal, v, n, len(dst))
	}
	full := op.Array{DType: a.DType, Shape: a.Shape, Strides: op.ContiguousStrides(a.Shape), Data: dst}
	copyStrided(&full, a, r.halt)
	return nil
}

// Copy implements [device.Run].
func (r *run) Copy(v int, dst device.Buffer) error { return r.Read(v, bytes(dst)) }

// Break makes group i panic when it runs until mend, including after a joint
// product; for tests.
func (r *run) Break(i int) (mend func()) {
	st := &r.steps[i]
	out, with := st.out, st.with
	if r.code.joint != nil && r.code.joint[i] {
		st.with = nil // the stages of the product
	} else {
		st.out = &op.Array{DType: out.DType, Shape: out.Shape, Strides: out.Strides} // without memory
	}
	return func() { st.out, st.with = out, with }
}
