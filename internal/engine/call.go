package engine

import (
	"context"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// step is a step bound to memory for one session and program.
type step struct {
	op      op.Op // of the group's first step
	group   *group
	in      []*op.Array
	out     *op.Array
	with    []*op.Array // by stage of the group: the second operand, if any
	start   *op.Array   // attention: padding of each sequence, if any
	scale   float32     // attention: see [attention]
	packed  *weight     // in[0] (embedding) or in[1] (matmul) where it is held in panels
	job     *job
	pool    *pool
	arenas  *arenas
	work    *arenas // scratch of chunks
	scratch *sampler

	rowBlocks, colBlocks int // chunks of a product with one matrix, or of an attention

	conv          kernels.ConvShape
	poolShape     kernels.PoolShape
	residual      *op.Array // convolution: what is added, if anything
	turned        op.Array  // convolution: the image with its channels last
	turnedStrides [4]int
	packedNow     []byte     // convolution: memory of filters that are no weights
	arrays        []op.Array // convolution: all values of the plan
	prog          *Program
	side          *sideBySide // the branches of a run
}

// binding is a program bound to sizes and memory. A session keeps one for each
// of its programs, so that a step of a loop only computes what changed.
type binding struct {
	prog    *Program
	sizes   []int64 // symbols, then capacities
	valid   bool
	arrays  []op.Array
	dims    [][]int // by class, shared by the arrays
	elems   []int   // by class: the product of its dimensions, -1 when it is too large
	bufSize []int   // room of each buffer; more than is needed now, so that it lasts
	bufOff  []int
	total   int
	changed uint64 // symbols that changed since the last run
	moved   bool   // a state's memory was replaced
	placed  []byte // arena that the values point into, nil when they must all be placed
	steps   []step // by group
	weights []*weight
	states  []*state
	// stateMem is the memory of each state that the values point at.
	stateMem []*byte
	ready    bool // weights are found
	resets   int  // of the session, when states was filled
	bufNeed  []int
	job      *job
	call     Call        // the session's one call of this program
	side     *sideBySide // nil without branches
}

// Call is one run of a program in a session. Use it from one goroutine and
// release it.
type Call struct {
	s       *Session
	b       *binding
	inputs  [][]byte
	staged  [][]byte // input memory owned by the call
	arena   []byte
	outputs []output
	elapsed time.Duration
	kernel  time.Duration
	times   []time.Duration // by group, when the engine profiles
	locked  bool
	pause   func(ctx context.Context) (time.Duration, error) // between two steps; may be nil
	paused  time.Duration
}

type output struct {
	t transport.Tensor
	h transport.Handle
}

// NewCall binds a program to sizes. It waits for the session's running call,
// and the session runs no other until Release. Errors: [transport.ErrShape]
// for bad sizes, [transport.ErrState], [transport.ErrLimit],
// [transport.ErrMissingWeight].
func (s *Session) NewCall(p *Program, bindings []int) (*Call, error) {
	if len(bindings) != len(p.symbols) {
		return nil, fmt.Errorf("%w: %d bindings for the symbols %v", transport.ErrShape, len(bindings), p.symbols)
	}
	s.run.Lock()
	b, err := s.binding(p)
	if err == nil {
		err = b.bind(s, bindings)
	}
	if err != nil {
		s.run.Unlock()
		return nil, err
	}
	c := &b.call
	c.s, c.b, c.locked, c.elapsed, c.kernel = s, b, true, 0, 0
	c.pause, c.paused = nil, 0
	clear(c.inputs)
	return c, nil
}

func (s *Session) binding(p *Program) (*binding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%w: session", transport.ErrClosed)
	}
	b := s.bound[p]
	if b == nil {
		b = newBinding(p, s.e)
		s.bound[p] = b
	}
	return b, nil
}

func (b *binding) bind(s *Session, bindings []int) error {
	if err := b.findWeights(s.e); err != nil {
		return err
	}
	changed := b.setSizes(bindings)
	ok := false
	defer func() {
		if b.valid = ok; !ok {
			b.placed = nil
		}
	}()
	if err := b.evalClasses(changed); err != nil {
		return err
	}
	grown, err := b.fitStates(s)
	if err != nil {
		return err
	}
	if grown {
		capacities := uint64(1) << len(b.prog.symbols)
		changed |= capacities
		if err := b.evalClasses(capacities); err != nil {
			return err
		}
	}
	b.changed |= changed // of a call that was given up, too
	if err := b.checkViews(changed); err != nil {
		return err
	}
	if err := b.fitBuffers(changed, s.e.opts.MaxScratch); err != nil {
		return err
	}
	ok = true
	return nil
}

// InputSize is the size of input i in bytes.
func (c *Call) InputSize(i int) int {
	a := &c.b.arrays[c.b.prog.plan.Inputs[i].Value]
	return a.Len() * a.DType.Size()
}

// AllocInput gives memory for input i, owned by the call.
func (c *Call) AllocInput(i int) ([]byte, error) {
	n := c.InputSize(i)
	if c.staged[i] == nil {
		m, err := c.s.e.arenas.get(max(n, 1))
		if err != nil {
			return nil, err
		}
		c.staged[i] = m
	}
	c.inputs[i] = c.staged[i][:n]
	return c.inputs[i], nil
}

// SetInput uses data for input i; it must stay as it is until Release.
func (c *Call) SetInput(i int, data []byte) error {
	if n := c.InputSize(i); len(data) != n {
		in := c.b.prog.plan.Inputs[i]
		a := &c.b.arrays[in.Value]
		return fmt.Errorf("%w: input %q wants %d bytes for %v%v, got %d", transport.ErrShape, in.Name, n, a.DType, a.Shape, len(data))
	} else if n > 0 && uintptr(unsafe.Pointer(&data[0]))%8 != 0 {
		b, err := c.AllocInput(i)
		copy(b, data)
		return err
	}
	c.inputs[i] = data
	return nil
}

// SetHandle uses a kept value for input i.
func (c *Call) SetHandle(i int, h transport.Handle) error {
	c.s.mu.Lock()
	k, err := c.s.find(h)
	c.s.mu.Unlock()
	if err != nil {
		return err
	}
	in := c.b.prog.plan.Inputs[i]
	a := &c.b.arrays[in.Value]
	if k.t.DType != a.DType || !slices.Equal(k.t.Shape, a.Shape) {
		return fmt.Errorf("%w: input %q wants %v%v, the handle is %v%v", transport.ErrShape, in.Name, a.DType, a.Shape, k.t.DType, k.t.Shape)
	}
	c.inputs[i] = k.t.Data
	return nil
}

// Run runs the program. When ctx is done it stops before the next step, state
// keeps its value, and the error wraps the cause of ctx.
func (c *Call) Run(ctx context.Context) (err error) {
	start := time.Now()
	defer func() { c.elapsed = time.Since(start) - c.paused }()
	b, p := c.b, c.b.prog
	for i, in := range p.plan.Inputs {
		if c.inputs[i] == nil && c.InputSize(i) > 0 {
			return fmt.Errorf("%w: input %q has no value", transport.ErrUnknownInput, in.Name)
		}
	}
	if c.arena, err = c.s.e.arenas.get(max(b.total, 1)); err != nil {
		return err
	}
	b.place(c.arena, c.inputs)
	c.s.e.pool.begin()
	err = c.steps(ctx)
	c.s.e.pool.end()
	if err != nil {
		return err
	}
	c.s.e.runs.Add(1)
	return c.finish()
}

// steps runs the kernels in order. A panic of a kernel is an error of the run.
func (c *Call) steps(ctx context.Context) (err error) {
	b, p := c.b, c.b.prog
	n := 0
	profile := c.s.e.opts.Profile
	if profile && c.times == nil {
		c.times = make([]time.Duration, len(p.groups))
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", transport.ErrInternal, r)
		}
		if err != nil && n < len(p.groups) {
			g := &p.groups[n]
			if ctx.Err() == nil {
				err = fmt.Errorf("step %d (%s): %w", g.place(), p.res.Ops[g.place()].Name(), err)
			}
			c.lose(n + 1)
		}
		ops := 0
		for i := range n {
			ops += len(p.groups[i].steps)
		}
		c.s.e.ops.Add(int64(ops))
		if profile {
			for _, d := range c.times[:n] {
				c.kernel += d
			}
			c.s.e.addProfile(p, c.times[:n], c.kernel)
		}
	}()
	done := ctx.Done()
	if b.side != nil {
		if n, err = b.side.run(ctx, c); err != nil {
			return err
		}
	}
	for ; n < len(p.groups); n++ {
		select {
		case <-done:
			return fmt.Errorf("genie: run stopped: %w", context.Cause(ctx))
		default:
		}
		if err := c.letOthers(ctx); err != nil {
			return err
		}
		if err := c.group(n); err != nil {
			return err
		}
	}
	return nil
}

// group runs group i.
func (c *Call) group(i int) error {
	if !c.s.e.opts.Profile {
		return c.b.prog.kernels[i](&c.b.steps[i])
	}
	start := time.Now()
	err := c.b.prog.kernels[i](&c.b.steps[i])
	c.times[i] = time.Since(start)
	return err
}

// lose marks states that one of the first n groups overwrote.
func (c *Call) lose(n int) {
	p := c.b.prog
	for i, d := range p.plan.States {
		if d.Mode == plan.StateWrite && slices.ContainsFunc(p.groups[:n], func(g group) bool { return g.place() == p.res.Def[d.Out] }) {
			c.b.states[i].lost = true
		}
	}
}

// finish makes the run's effects last: new state, kept and downloaded outputs.
func (c *Call) finish() error {
	b, p := c.b, c.b.prog.plan
	if cap(c.outputs) < len(p.Outputs) {
		c.outputs = make([]output, len(p.Outputs))
	}
	c.outputs = c.outputs[:len(p.Outputs)]
	for i, o := range p.Outputs {
		a := &b.arrays[o.Value]
		n := a.Len() * a.DType.Size()
		t := transport.Tensor{DType: a.DType, Shape: a.Shape}
		if a.Contiguous() && o.Place == plan.Download {
			t.Data = a.Data[:n]
		} else {
			full := op.Array{DType: a.DType, Shape: a.Shape, Strides: op.ContiguousStrides(a.Shape), Data: make([]byte, n)}
			copyStrided(&full, a)
			t.Data = full.Data
		}
		c.outputs[i] = output{t: t}
		if o.Place == plan.Keep {
			t.Shape = slices.Clone(t.Shape)
			c.outputs[i] = output{t: transport.Tensor{DType: t.DType, Shape: t.Shape}, h: c.s.keep(t)}
		}
	}
	return c.commitStates()
}

func (c *Call) commitStates() error {
	b, p := c.b, c.b.prog.plan
	for i := range p.States {
		d := &p.States[i]
		st := b.states[i]
		if d.Mode == plan.StateReplace {
			a := &b.arrays[d.Out]
			n := a.Len() * a.DType.Size()
			if n > len(st.mem) {
				mem, err := c.s.e.allocState(n)
				if err != nil {
					return err
				}
				c.s.resize(st, mem)
			}
			full := op.Array{DType: a.DType, Shape: a.Shape, Strides: op.ContiguousStrides(a.Shape), Data: st.mem}
			copyStrided(&full, a)
		}
		copy(st.shape, b.dims[b.prog.places[d.Out].shape])
	}
	return nil
}

// Output is output i of a finished run: a view valid until Release, or the
// handle of a kept value.
func (c *Call) Output(i int) (transport.Tensor, transport.Handle) {
	return c.outputs[i].t, c.outputs[i].h
}

// Elapsed is the time that Run took.
func (c *Call) Elapsed() time.Duration { return c.elapsed }

// KernelTime is the sum of the kernels' times of the run, measured when
// [Options.Profile] is set.
func (c *Call) KernelTime() time.Duration { return c.kernel }

// Release frees the call and lets the session's next call go. It may be called
// twice.
func (c *Call) Release() {
	if !c.locked {
		return
	}
	c.locked = false
	c.s.e.arenas.put(c.arena)
	for _, m := range c.staged {
		c.s.e.arenas.put(m)
	}
	c.arena = nil
	clear(c.staged)
	c.s.run.Unlock()
}
