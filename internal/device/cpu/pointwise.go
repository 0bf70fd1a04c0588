package cpu

import (
	"slices"

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
	"div":  twoOperands(kernels.Div, kernels.DivScalar),
	"gelu": gelu,
	"mul":  twoOperands(kernels.Mul, kernels.MulScalar),
	"sqrt": oneOperand(kernels.Sqrt),
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

func oneOperand(f func(dst, src []float32)) func(op.Op) elementwise {
	return func(op.Op) elementwise { return elementwise{unary: f} }
}

func twoOperands(f func(dst, a, b []float32), scalar func(dst, a []float32, b float32)) func(op.Op) elementwise {
	return func(op.Op) elementwise { return elementwise{binary: f, scalar: scalar} }
}

// gelu is the only operator whose attributes select the kernel.
func gelu(o op.Op) elementwise {
	if o.(op.GELU).Tanh {
		return elementwise{unary: kernels.GeluTanh}
	}
	return elementwise{unary: kernels.GeluErf}
}

// hasPointwise reports whether there is a kernel for a pointwise operator.
func hasPointwise(o op.Op) bool {
	_, ok := pointwiseKernel(o)
	return ok
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

// runPointwise computes one pointwise operator that has a kernel.
func runPointwise(s *step) error {
	if s.out.DType != plan.F32 || s.in[0].DType != plan.F32 { // kernels are of floats
		return runReference(s)
	}
	if s.elements[0].unary != nil {
		return runUnary(s)
	}
	return runBinary(s)
}

func runUnary(s *step) error {
	if !flat(s.out, s.in[0]) {
		return runReference(s)
	}
	s.pool.run(s.job, s, s.out.Len(), grainElems, unaryChunk)
	return nil
}

func unaryChunk(s *step, lo, hi int) {
	s.elements[0].unary(s.out.F32()[lo:hi], s.in[0].F32()[lo:hi])
}

func runBinary(s *step) error {
	a, b, n := s.in[0], s.in[1], s.out.Len()
	switch {
	case n == 0:
		return nil
	case flat(s.out, a, b):
		s.pool.run(s.job, s, n, grainElems, binaryChunk)
		return nil
	case b.Len() == 1 && flat(s.out, a):
		s.pool.run(s.job, s, n, grainElems, scalarChunk)
		return nil
	case !s.out.Contiguous() || !b.Contiguous() || !slices.Equal(s.out.Shape, a.Shape) || !trailing(s.out.Shape, b.Shape):
		return runReference(s)
	case flat(s.out, a):
		s.pool.run(s.job, s, n/b.Len(), rowsPerChunk(b.Len()), repeatedChunk)
		return nil
	}
	if rows, _, _, ok := rowRun(a); ok && len(b.Shape) == 1 {
		s.pool.run(s.job, s, rows, rowsPerChunk(b.Len()), repeatedRowChunk)
		return nil
	}
	return runReference(s)
}

// trailing reports whether the axes of part are the last ones of shape, so that
// it is repeated as a whole.
func trailing(shape, part []int) bool {
	skip := len(shape) - len(part)
	return skip >= 0 && slices.Equal(shape[skip:], part)
}

func binaryChunk(s *step, lo, hi int) {
	s.elements[0].binary(s.out.F32()[lo:hi], s.in[0].F32()[lo:hi], s.in[1].F32()[lo:hi])
}

func scalarChunk(s *step, lo, hi int) {
	s.elements[0].scalar(s.out.F32()[lo:hi], s.in[0].F32()[lo:hi], s.in[1].F32()[0])
}

// repeatedChunk has a second operand that is repeated.
func repeatedChunk(s *step, lo, hi int) { s.repeated(lo, hi, s.in[1].Len()) }

// repeatedRowChunk repeats it for each row of the first, whose rows are apart.
func repeatedRowChunk(s *step, lo, hi int) {
	_, _, stride, _ := rowRun(s.in[0])
	s.repeated(lo, hi, stride)
}

// repeated computes rows lo to hi; those of the first operand are stride apart.
func (s *step) repeated(lo, hi, stride int) {
	f, y, a, b, n := s.elements[0].binary, s.out.F32(), s.in[0].F32(), s.in[1].F32(), s.in[1].Len()
	for r := lo; r < hi; r++ {
		s.pieces(n, func(i, j int) { f(y[r*n+i:r*n+j], a[r*stride+i:r*stride+j], b[i:j]) })
	}
}
