package cpu

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// pointwise are the kernels of pointwise operators, by name, except those that
// package kernels finds by the operator's name: see [pointwiseKernel].
var pointwise = map[string]func(o op.Op) elementwise{
	"add":  twoOperands(kernels.Add, kernels.AddScalar),
	"bias": twoOperands(kernels.Add, kernels.AddScalar),
	"clip": clip,
	"div":  twoOperands(kernels.Div, kernels.DivScalar),
	"gelu": gelu,
	"max":  twoOperands(kernels.PairF32("max"), nil),
	"min":  twoOperands(kernels.PairF32("min"), nil),
	"mod":  mod,
	"pow":  twoOperands(kernels.Pow, nil),
	"mul":  twoOperands(kernels.Mul, kernels.MulScalar),
	"sub":  twoOperands(kernels.Sub, kernels.SubScalar),
}

// pointwiseKernel is the kernel of a pointwise operator: from the table above,
// or from package kernels' own table of activations. It computes an operator
// both alone and as a stage of a product. An operator without one is computed
// by its reference, and alone.
func pointwiseKernel(o op.Op) (e elementwise, ok bool) {
	if k := pointwise[o.Name()]; k != nil {
		return k(o), true
	}
	f := kernels.Activation(o.Name())
	return elementwise{unary: f}, f != nil
}

func twoOperands(f func(dst, a, b []float32), scalar func(dst, a []float32, b float32)) func(op.Op) elementwise {
	return func(op.Op) elementwise { return elementwise{binary: f, scalar: scalar} }
}

func clip(o op.Op) elementwise {
	lo, hi := float32(o.(op.Clip).Min), float32(o.(op.Clip).Max)
	return elementwise{unary: func(dst, src []float32) { kernels.Clip(dst, src, lo, hi) }}
}

func mod(o op.Op) elementwise {
	fmod := o.(op.Mod).Fmod
	return elementwise{binary: func(dst, a, b []float32) { floatRemainders(dst, a, b, fmod) }}
}

func gelu(o op.Op) elementwise {
	if o.(op.GELU).Tanh {
		return elementwise{unary: kernels.GeluTanh}
	}
	return elementwise{unary: kernels.GeluErf}
}

// elementsOf are the kernels of a group's pointwise operators: of its stages,
// or of the group's single operator.
func elementsOf(g *program.Group, ops []op.Op) (out []elementwise) {
	if g.Kind == program.Single {
		if e, ok := pointwiseKernel(ops[g.Steps[0]]); ok {
			return []elementwise{e}
		}
	}
	for _, st := range g.Stages {
		e, _ := pointwiseKernel(st.Op) // it is a stage, so it has a kernel
		out = append(out, e)
	}
	return out
}

// runPointwise computes one pointwise operator that has a kernel: of floats
// that are stored alike at once, else block by block.
func runPointwise(s *step) error {
	if s.group.Kind == program.Elementwise || len(s.elements) == 0 || s.out.DType != plan.F32 || s.in[0].DType != plan.F32 || s.out.Len() >= streamBytes/4 {
		return runBlocks(s)
	}
	switch e := &s.elements[0]; {
	case e.unary != nil && flat(s.out, s.in[0]):
		s.pool.run(s.job, s, s.out.Len(), grainElems, unaryChunk)
	case e.binary != nil && flat(s.out, s.in[0], s.in[1]):
		s.pool.run(s.job, s, s.out.Len(), grainElems, binaryChunk)
	case e.scalar != nil && s.in[1].Len() == 1 && flat(s.out, s.in[0]):
		s.pool.run(s.job, s, s.out.Len(), grainElems, scalarChunk)
	default:
		return runBlocks(s)
	}
	return nil
}

func unaryChunk(s *step, lo, hi int) {
	s.elements[0].unary(s.out.F32()[lo:hi], s.in[0].F32()[lo:hi])
}

func binaryChunk(s *step, lo, hi int) {
	s.elements[0].binary(s.out.F32()[lo:hi], s.in[0].F32()[lo:hi], s.in[1].F32()[lo:hi])
}

func scalarChunk(s *step, lo, hi int) {
	s.elements[0].scalar(s.out.F32()[lo:hi], s.in[0].F32()[lo:hi], s.in[1].F32()[0])
}
