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

// bindRows describes the rows of a product with a packed matrix. It queues a copy
// of rows that are not equidistant or have gaps.
func (r *run) bindRows(g *group, st driver.Stream) error {
	a := g.in[0]
	rows, k, stride, ok := rowRun(a)
	at := a.At
	if !ok {
		rows, k, stride = a.Len()/g.matrix.K, g.matrix.K, g.matrix.K
		at = r.scratch() + driver.Ptr(r.gathered(g))
		var strides axes
		if err := r.d.kernels.Copy(st, rowMajor(a, at, &strides), *a); err != nil {
			return err
		}
	}
	g.rows[0] = kernels.Rows{A: at, Out: g.out.At, Count: rows, StrideA: stride, StrideOut: g.matrix.N, Stages: g.stages}
	_ = k
	for i := range g.of.Stages {
		s := &g.of.Stages[i]
		if s.Value >= 0 {
			g.stages[i].Other = r.tensors[s.Value]
		}
	}
	return nil
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

// linearScratch is the memory of a product, and after it that of rows that are
// copied first.
func linearScratch(r *run, g *group) int {
	if !g.packed {
		return 0
	}
	if _, _, _, ok := rowRun(g.in[0]); ok {
		return r.gathered(g)
	}
	return r.gathered(g) + 4*g.in[0].Len()
}

// gathered is where rows that are copied first are in the scratch memory.
func (r *run) gathered(g *group) int {
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
