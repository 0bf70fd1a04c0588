// Package program compiles plans for an executor. It makes their operators,
// resolves layouts, fuses steps into the groups that kernels compute, shares
// scratch memory by liveness, and compiles dimensions to code over the values
// of symbols. It is pure: it holds no device memory and knows no kernel, so the
// engine compiles with it and the cost model predicts with it.
package program

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/plan"
)

// Program is a compiled plan: operators made, layouts resolved, steps grouped,
// dimensions compiled to code over the values of symbols. It is immutable and
// shared by sessions.
type Program struct {
	plan    *plan.Plan
	Res     *op.Resolved
	symbols []string
	// quotients are the factors of dimensions that are no symbols, each after
	// those in its dividend. Their sizes follow the symbols' and the capacities'.
	quotients []quotient
	factors   map[string]uint16 // index of the size of each factor; nil once compiled
	Groups    []Group           // the groups, in running order
	Labels    []string          // by group, for profiles
	// StepsBefore is, by group and its end, the number of steps of all earlier
	// groups.
	StepsBefore []int
	Lanes       []span // ranges of groups that may run concurrently
	Buffers     int    // scratch buffers, shared by liveness of the groups
	Retains     bool   // outputs may need memory of their own

	// Equal lists of dimensions, whether shapes, strides or offsets, are one
	// class: a changed size causes the evaluation of a handful of classes,
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
	Paged      []bool       // by state: it may be stored in pages, see [Bound.SetCapacity]
}

// Plan is the compiled plan.
func (p *Program) Plan() *plan.Plan { return p.plan }

// For is the program of another plan that differs in its labels only: its name,
// phase and policy.
func (p *Program) For(other *plan.Plan) *Program {
	q := *p
	q.plan = other
	return &q
}

// Symbols lists the symbols in the order of a call's bindings.
func (p *Program) Symbols() []string { return p.symbols }

// Options configure how steps are grouped.
type Options struct {
	// Separate makes each step a separate group, and Plain also keeps the
	// plan's layouts and products: for tests.
	Separate, Plain bool
	// Branches finds two parts that may run concurrently.
	Branches bool
	// Convolution reports whether a device has a kernel for a convolution with
	// filters of this shape, for any number of images; nil if it has one for
	// all.
	Convolution func(c *Convolution, filters []int) bool
	// Pointwise reports whether a device has a kernel for a pointwise operator,
	// so that it can be applied to a product's result; nil if it has one for
	// each.
	Pointwise func(o op.Op) bool
	// Elementwise reports whether a device computes a pointwise operator of these
	// inputs together with others, in one pass over memory; nil if it computes
	// none so.
	Elementwise func(o op.Op, in []plan.Spec) bool
	// Custom are the operators of a user that plans may name; nil for none.
	Custom *custom.Table
}

func (o *Options) pointwise(x op.Op) bool { return o.Pointwise == nil || o.Pointwise(x) }

// stored reports whether a value has memory: the values inside a group have
// none.
func (p *Program) stored(v int) bool {
	base := int(p.Places[v].Base)
	return !p.Res.InScratch(base) || p.Places[base].Buffer != plan.NoBuffer
}

// Span is a range of groups, the end not included.
type span struct{ From, To int }

// LaneOf is the branch that a group is in, or the number of branches.
func (p *Program) LaneOf(g int) int {
	for i, l := range p.Lanes {
		if g >= l.From && g < l.To {
			return i
		}
	}
	return len(p.Lanes)
}

// StateOf is the state whose memory contains a value, -1 for none.
func (p *Program) StateOf(v int) int { return p.Res.State[p.Res.Base[v]] }

// DenseRows reports whether the last axis of a value has no gaps, at all sizes.
func (p *Program) DenseRows(v int) bool { return denseRows(p.Res, v) }

// Capacities is the mask of all capacities.
func (p *Program) Capacities() uint64 { return 1 << len(p.symbols) }
