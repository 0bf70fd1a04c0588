// Package program compiles plans for an executor: it makes their operators, resolves
// layouts, fuses steps into the groups that kernels compute, shares scratch
// memory by liveness, and turns dimensions into code over the numbers of symbols.
// It is pure: it holds no memory of a device and knows no kernel, so the engine
// compiles with it and the cost model predicts with it.
package program

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Program is a compiled plan: operators made, layouts resolved, steps grouped,
// dimensions turned into code over the numbers of symbols. It is immutable and
// shared by sessions.
type Program struct {
	plan    *plan.Plan
	Res     *op.Resolved
	symbols []string
	Groups  []Group  // what runs, in order
	Labels  []string // by group, for profiles
	// StepsBefore is, by group and its end, the steps of all groups before.
	StepsBefore []int
	Lanes       []span // ranges of groups that may run at one time
	Buffers     int    // scratch buffers, shared by liveness of the groups
	Retains     bool   // outputs may need memory of their own

	// Equal lists of dimensions, be they shapes, strides or offsets, are one
	// class: what is computed when a size changes is a handful of classes,
	// however many layers a model has.
	Classes []Class
	Places  []Place // by value
	Order   []int   // all values, bases before their views
	Views   []int   // values in the memory of another
	OfInput []int   // values in the memory of inputs
	OfState []int   // values in the memory of states
	Roots   []int   // values with scratch memory of their own
	// By symbol, the last being that of all capacities: the scratch roots and
	// views that depend on it.
	RootsOf, ViewsOf [][]int

	StateTypes []plan.DType // element types of the states
	Paged      []bool       // by state: it may lie in pages, see [Bound.SetCapacity]
}

// Plan is the plan as it was compiled.
func (p *Program) Plan() *plan.Plan { return p.plan }

// Symbols lists the symbols in the order of a call's bindings.
func (p *Program) Symbols() []string { return p.symbols }

// Options say how steps are grouped.
type Options struct {
	// Separate makes each step a group of its own, and Plain also keeps the
	// layouts and products as the plan has them: for tests.
	Separate, Plain bool
	// Branches finds two parts that may run at one time.
	Branches bool
	// Convolution reports whether a device has a kernel for a convolution with
	// filters of this shape, whatever the number of images; nil where it has one
	// for all.
	Convolution func(c *Convolution, filters []int) bool
	// Pointwise reports whether a device has a kernel for a pointwise operator, so
	// that it can be applied to a product's result; nil where it has one for each.
	Pointwise func(o op.Op) bool
}

func (o *Options) pointwise(x op.Op) bool { return o.Pointwise == nil || o.Pointwise(x) }

// Compile makes a program of a valid plan.
func Compile(p *plan.Plan, opts Options, w *op.Work) (*Program, error) {
	res, err := resolve(p, opts, w)
	if err != nil {
		return nil, err
	}
	prog := &Program{plan: p, Res: res, symbols: p.Symbols()}
	all := append([]string(nil), prog.symbols...)
	for i := range p.States {
		all = append(all, op.CapSymbol(i))
	}
	// The capacities share one bit of the mask.
	if len(prog.symbols) > maxSymbols-1 {
		return nil, fmt.Errorf("%w: %d symbols, the limit of an executor is %d", plan.ErrInvalid, len(prog.symbols), maxSymbols-1)
	}
	index := make(map[string]uint16, len(all))
	for i, s := range all {
		index[s] = uint16(i)
	}
	for _, st := range p.States {
		prog.StateTypes = append(prog.StateTypes, p.Values[st.In].Spec.DType)
	}
	passes := []func(){
		func() { prog.Groups = fuse(p, res, opts) },
		func() {
			if opts.Branches {
				prog.branches()
			}
		},
		prog.label,
		func() { prog.classify(index) },
		func() { prog.conditions(index) },
		prog.share, prog.dependencies, prog.findPaged,
	}
	for _, pass := range passes { // each is linear in the plan
		if err := w.Spend(len(p.Values) + len(p.Steps)); err != nil {
			return nil, err
		}
		pass()
	}
	for _, o := range p.Outputs {
		copied := res.Base[o.Value] != o.Value || !res.Layouts[o.Value].Dense
		prog.Retains = prog.Retains || copied || o.Place == plan.Retain
	}
	return prog, nil
}

// resolve checks operators, shapes and buffers, and lays out the values.
func resolve(p *plan.Plan, opts Options, w *op.Work) (*op.Resolved, error) {
	res, err := op.ResolveLayouts(p, w, op.RowMajor)
	if err != nil {
		return nil, err
	}
	if err := res.CheckBuffers(); err != nil || opts.Plain {
		return res, err
	}
	return op.ResolveLayouts(p, w, chooseLayout)
}

// share gives the values that groups write their scratch buffers. The plan's
// own assignment holds for its steps one by one, not for groups of them.
func (p *Program) share() {
	def, last := make([]int, len(p.Places)), make([]int, len(p.Places))
	for v := range def {
		def[v] = -1
	}
	for g := range p.Groups {
		k := &p.Groups[g]
		def[p.Res.Base[k.Out]] = g
		last[p.Res.Base[k.Out]] = g
		for _, i := range k.Steps {
			for _, v := range p.plan.Steps[i].In {
				last[p.Res.Base[v]] = g
			}
		}
	}
	for _, o := range p.plan.Outputs {
		last[p.Res.Base[o.Value]] = len(p.Groups)
	}
	for _, s := range p.plan.States {
		last[p.Res.Base[s.Out]] = len(p.Groups)
	}
	var lives []op.Lifetime
	for v := range p.Places {
		p.Places[v].Buffer = plan.NoBuffer
		if p.Res.InScratch(v) && def[v] >= 0 {
			lives = append(lives, op.Lifetime{Value: v, Def: def[v], Last: last[v]})
		}
	}
	buffers, n := p.assign(lives)
	for i, l := range lives {
		p.Places[l.Value].Buffer = int32(buffers[i])
	}
	p.Buffers = n
}

// stored reports whether a value has memory: the values inside a group have
// none.
func (p *Program) stored(v int) bool {
	base := int(p.Places[v].Base)
	return !p.Res.InScratch(base) || p.Places[base].Buffer != plan.NoBuffer
}
