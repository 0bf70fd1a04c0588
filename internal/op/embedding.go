package op

import (
	"fmt"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Embedding gathers rows of a table [rows, width] by index [...]: the output
// is [..., width]. An index outside the table is an error.
type Embedding struct{}

// Name is embedding.
func (Embedding) Name() string { return "embedding" }

// Traits are those of a layer that gathers.
func (Embedding) Traits() Traits {
	return Traits{Class: ClassGather, Gathers: true, Layer: true}
}

// Attrs has none.
func (Embedding) Attrs() plan.Attrs { return nil }

// Infer appends the width to the index shape.
func (Embedding) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	t, idx := in[0], in[1]
	if len(t.Shape) != 2 {
		return plan.Spec{}, shapeErr("embedding table %v, want [rows, width]", t.Shape)
	}
	if !idx.DType.IsInt() {
		return plan.Spec{}, dtypeErr("embedding indices are %v, want i32 or i64", idx.DType)
	}
	s := append(append(plan.Shape(nil), idx.Shape...), t.Shape[1])
	return plan.Spec{DType: plan.F32, Shape: s}, wantF32(t)
}

// Rows are those of the indices.
func (o Embedding) Rows(_ []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	return []int{-1, s.Axis}, o, s.Axis < len(out.Shape)-1
}

// FLOPs is none.
func (Embedding) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (Embedding) Eval(out *Array, in []*Array, h halt.Func) error {
	t, idx := in[0], in[1]
	y, x := out.F32(), t.F32()
	n, w := t.Shape[0], t.Shape[1]
	last := len(out.Shape) - 1
	var err error
	ask := h.Counter()
	if halted := walk(idx.Shape, &ask, w, func(p []int) {
		r := idx.Int(p[0])
		if err != nil {
			return
		}
		if r < 0 || r >= n {
			err = IndexError(r, n)
			return
		}
		for i := range w {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			y[p[1]+i*out.Strides[last]] = x[r*t.Strides[0]+i*t.Strides[1]]
		}
	}, idx.Strides, out.Strides[:last]); halted != nil {
		return halted
	}
	return err
}

// IndexError is the error for index i of a table with n rows.
func IndexError(i, n int) error {
	return fmt.Errorf("%w: index %d of %d rows", ErrIndex, i, n)
}
