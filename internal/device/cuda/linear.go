package cuda

import (
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// launchLinear multiplies with one matrix and applies the stages: in one kernel
// where the matrix is packed.
func launchLinear(r *run, g *group) error {
	if !g.packed {
		return launchPlain(r, g)
	}
	if err := r.bindRows(g, r.st); err != nil {
		return err
	}
	return r.d.kernels.Product(r.st, &g.matrix, g.rows[:], r.scratch())
}

// bindRows describes the rows of a product with a packed matrix. It queues copies
// of operands whose rows the kernel cannot read in place.
func (r *run) bindRows(g *group, st driver.Stream) error {
	spare := r.scratch() + driver.Ptr(r.productScratch(g))
	copied := func(t *kernels.Tensor, strides *axes) (kernels.Tensor, error) {
		dense := rowMajor(t, spare, strides)
		spare += driver.Ptr(program.Align(4 * t.Len()))
		return dense, r.d.kernels.Copy(st, dense, *t)
	}
	a, k := *g.in[0], g.matrix.K
	rows, stride, ok := rowRun(&a)
	if !ok {
		var err error
		if a, err = copied(g.in[0], &g.strides); err != nil {
			return err
		}
		rows, stride = a.Len()/max(k, 1), k
	}
	for i := range g.of.Stages {
		s := &g.of.Stages[i]
		if s.Value < 0 {
			continue
		}
		g.stages[i].Other = r.tensors[s.Value]
		if s.Kind == program.StageRows && !twoStrides(&r.tensors[s.Value]) {
			var err error
			var strides axes // which the tensor retains, in the rare case
			if g.stages[i].Other, err = copied(&r.tensors[s.Value], &strides); err != nil {
				return err
			}
		}
	}
	g.rows[0] = kernels.Rows{A: a.At, Out: g.out.At, Count: rows, StrideA: stride, StrideOut: g.matrix.N, Stages: g.stages}
	return nil
}

// twoStrides reports whether the rows of a tensor have at most two strides, as
// the kernels of products require of the operands of stages.
func twoStrides(t *kernels.Tensor) bool {
	count, stride := 0, 0
	for d := range len(t.Shape) - 1 {
		switch n := t.Shape[d]; {
		case n == 1:
		case count > 0 && stride == n*t.Strides[d]:
			stride = t.Strides[d]
		default:
			count, stride = count+1, t.Strides[d]
		}
	}
	return count <= 2
}

// stagesOf are the stages of a product, without their operands.
func stagesOf(g *program.Group) []kernels.Stage {
	stages := make([]kernels.Stage, len(g.Stages))
	for i := range g.Stages {
		s := &stages[i]
		s.Code, _, _ = kernels.CodeOf(g.Stages[i].Op) // it is a stage, so it has a code
		switch g.Stages[i].Kind {
		case program.StageUnary:
			s.Kind = kernels.StageUnary
		case program.StageRow:
			s.Kind = kernels.StageRow
		case program.StageRows:
			s.Kind = kernels.StageRows
		}
	}
	return stages
}

// linearScratch is the memory of a product, and after it that of operands that
// are copied first.
func linearScratch(r *run, g *group) int {
	if !g.packed {
		return 0
	}
	n := r.productScratch(g)
	if _, _, ok := rowRun(g.in[0]); !ok {
		n += program.Align(4 * g.in[0].Len())
	}
	for i := range g.of.Stages {
		if s := &g.of.Stages[i]; s.Kind == program.StageRows && !twoStrides(&r.tensors[s.Value]) {
			n += program.Align(4 * r.tensors[s.Value].Len())
		}
	}
	return n
}

// productScratch is the memory of the product itself.
func (r *run) productScratch(g *group) int {
	return program.Align(r.d.kernels.ProductScratch(&g.matrix, g.in[0].Len()/max(g.matrix.K, 1)))
}

// launchPlain computes the steps one by one: stages in place. They give the same
// bits.
func launchPlain(r *run, g *group) error {
	if err := launchMatMul(r, g); err != nil {
		return err
	}
	for i := range g.of.Stages {
		s := &g.of.Stages[i]
		var err error
		if s.Value < 0 {
			err = r.d.kernels.Pointwise(r.st, s.Op, *g.out, *g.out)
		} else {
			err = r.d.kernels.Pointwise(r.st, s.Op, *g.out, *g.out, r.tensors[s.Value])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// launchMatMul multiplies batches of matrices with any strides.
func launchMatMul(r *run, g *group) error {
	o := g.op.(op.MatMul)
	return r.d.kernels.MatMul(r.st, *g.out, *g.in[0], *g.in[1], o.TransA, o.TransB)
}
