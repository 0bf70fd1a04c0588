package kernels

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// TestShapes computes operators of operands of many shapes that broadcast, each
// in a layout of its own.
func TestShapes(t *testing.T) {
	m := newRig(t)
	r := sequence(3)
	below := func(n int) int { return int(r.next()>>4) % n }
	for i := range 250 {
		shape := make([]int, 1+below(plan.MaxRank))
		for d := range shape {
			shape[d] = []int{1, 2, 3, 4, 8, 12}[below(3+3*below(2))]
		}
		for product(shape) > 800 {
			shape[below(len(shape))] = 1
		}
		// part is a shape that broadcasts to it.
		part := func() []int {
			p := slices.Clone(shape)
			for d := range p {
				if below(3) == 0 {
					p[d] = 1
				}
			}
			return p[below(2)*below(len(p)+1):]
		}
		last := shape[len(shape)-1]
		var e evaluation
		switch below(8) {
		case 0:
			e = eval(op.Sub(), floats(shape...), floats(part()...))
		case 1:
			e = eval(op.Div(), floats(part()...), floats(shape...))
		case 2:
			e = eval(op.Where{}, ints(plan.Bool, 2, part()...), ints(plan.I64, 9, shape...), ints(plan.I64, 9, part()...))
		case 3:
			e = eval(op.Expand{Shape: dims(shape...)}, operand{t: []plan.DType{plan.F32, plan.I64, plan.Bool}[below(3)], most: 99, shape: part()})
		case 4:
			perm := make([]int, len(shape))
			for d := range perm {
				perm[d] = d
			}
			for d := range perm {
				k := below(d + 1)
				perm[d], perm[k] = perm[k], perm[d]
			}
			e = eval(op.Transpose{Perm: perm}, floats(shape...))
		case 5:
			e = eval(op.LayerNorm{Eps: 1e-5}, floats(shape...), floats(last), floats(last))
		case 6:
			e = eval(op.Softmax{Axis: below(len(shape))}, floats(shape...))
		case 7:
			var axes []int
			for d := range shape {
				if below(2) == 0 {
					axes = append(axes, d)
				}
			}
			e = eval(op.Reduce{Kind: []string{"sum", "mean", "max"}[below(3)], Axes: axes, Keep: below(2) == 0}, floats(shape...))
		}
		var from []memory
		for range e.in {
			from = append(from, memory(below(int(gapped)+1)))
		}
		to := memory(below(int(gapped) + 1))
		what := fmt.Sprintf("%s%v of %v in layouts %v to %v", e.o.Name(), e.o.Attrs(), e.in, from, to)
		in := e.make(i)
		want, err := reference(t, e.o, in)
		require.NoError(t, err)
		got, err := m.computeEach(e.o, in, from, to)
		require.NoError(t, err, what)
		// A row of one element, or a sum of few, can cancel.
		requireNear(t, want, got, 2e-6, what)
	}
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
