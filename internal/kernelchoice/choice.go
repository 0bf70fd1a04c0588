// Package kernelchoice decides which kernel of the CPU computes a group of a
// program. The CPU device runs what it says, and the cost model and explain
// show it. It is pure: it knows kernels by name and holds none of their code.
//
// A kernel that is added to the CPU device names itself here: a line in
// [operators], [pointwise] or [groups] with its name and, where it does not
// compute every arrangement of its operands, with the function that reports
// which it computes. What that function refuses is computed by the operator's
// reference. A kernel itself chooses nothing: internal/device/cpu has one
// function for each name, and its tests compare what ran with what was
// predicted.
package kernelchoice

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// Reference is the name of what computes a group without a kernel: the
// operator's reference, which is plain and slow.
const Reference = "reference"

// pointwiseKernel is the name of the kernel of pointwise operators.
const pointwiseKernel = "pointwise"

// Choice is the kernel of a group.
type Choice struct {
	// Kernel is its name, [Reference] for none.
	Kernel string
	// Fits reports whether the kernel computes operands of these shapes and
	// strides; nil if it computes all. It reads no data.
	Fits Fits
}

// Fits reports whether a kernel computes the operands of an operator, by their
// shapes, strides and element types: the inputs of the group, in the order of
// [program.Group.In], and its output, which has elements.
type Fits func(o op.Op, in []*op.Array, out *op.Array) bool

// Of is the kernel of a group of a program with the given operators, by step.
func Of(g *program.Group, ops []op.Op) Choice {
	if c, ok := groups[g.Kind]; ok {
		return c
	}
	o := ops[g.Steps[0]]
	if pointwise[o.Name()] || selections[o.Name()] {
		return Choice{Kernel: pointwiseKernel}
	}
	if c, ok := operators[o.Name()]; ok {
		return c
	}
	return Choice{Kernel: Reference}
}

// Pointwise reports whether there is a kernel for a pointwise operator, so that
// it can be applied to a product's result.
func Pointwise(o op.Op) bool { return pointwise[o.Name()] }

// Elementwise reports whether there is a kernel for a pointwise operator, of any
// inputs, that computes others in the same pass over memory.
func Elementwise(o op.Op, _ []plan.Spec) bool { return pointwise[o.Name()] || selections[o.Name()] }

// At is the kernel that computes operands: Kernel where it fits them.
func (c Choice) At(o op.Op, in []*op.Array, out *op.Array) string {
	if c.Fits != nil && out.Len() > 0 && !c.Fits(o, in, out) {
		return Reference
	}
	return c.Kernel
}

// Kernels is the kernel of each group of p at the sizes of b.
func Kernels(p *program.Program, b *program.Bound) []string {
	arrays := make([]op.Array, len(p.Places))
	for v := range arrays {
		arrays[v] = op.Array{DType: p.Plan().Values[v].Spec.DType, Shape: b.Shape(v), Strides: b.Strides(v)}
	}
	out := make([]string, len(p.Groups))
	var in []*op.Array
	for i := range p.Groups {
		g := &p.Groups[i]
		in = in[:0]
		for _, v := range g.In {
			in = append(in, &arrays[v])
		}
		out[i] = Of(g, p.Res.Ops).At(p.Res.Ops[g.Steps[0]], in, &arrays[g.Out])
	}
	return out
}

// Unbound is [Kernels] before sizes are known: at sizes that are unequal and
// have no common divisor, so that operands fit only where they fit at all sizes.
func Unbound(p *program.Program) []string {
	b := program.NewBound(p)
	sizes := make([]int, len(p.Symbols()))
	for i := range sizes {
		sizes[i] = prime(i)
	}
	b.Set(sizes)
	for i, s := range p.Plan().States {
		capacity := 0
		if s.Axis >= 0 {
			dim := p.Plan().Values[s.Out].Spec.Shape[s.Axis]
			if n, err := dim.Eval(bindings(p.Symbols(), sizes)); err == nil {
				capacity = n + 1
			}
		}
		b.SetCapacity(i, capacity, 1)
	}
	if err := b.Eval(^uint64(0)); err != nil {
		out := make([]string, len(p.Groups)) // no such sizes: by operator alone
		for i := range out {
			out[i] = Of(&p.Groups[i], p.Res.Ops).Kernel
		}
		return out
	}
	return Kernels(p, b)
}

func bindings(symbols []string, sizes []int) plan.Bindings {
	b := make(plan.Bindings, len(symbols))
	for i, s := range symbols {
		b[s] = sizes[i]
	}
	return b
}

// prime is the ith prime number from 5 on.
func prime(i int) int {
	for n := 5; ; n += 2 {
		divides := false
		for d := 3; d*d <= n; d += 2 {
			divides = divides || n%d == 0
		}
		if divides {
			continue
		}
		if i--; i < 0 {
			return n
		}
	}
}
