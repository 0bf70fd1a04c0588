package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// row is row r of a matrix, as a matrix.
func row(a *op.Array, r int) *op.Array {
	n := a.Shape[1]
	return op.FromF32(a.F32()[r*n:r*n+n], 1, n)
}

// TestRowsAlone holds that a row has the same bits alone and among others,
// whatever its alignment and the gaps in memory.
func TestRowsAlone(t *testing.T) {
	m := newRig(t)
	for _, n := range []int{1, 5, 32, 33, 64, 129, 256, 257, 1600, 8192, 8196} {
		x := floats(3, n).make(n)
		gamma, beta := floats(n).make(n+1), floats(n).make(n+2)
		for _, o := range []op.Op{
			op.LayerNorm{Eps: 1e-5},
			op.RMSNorm{Eps: 1e-5, Offset: 1},
			op.Softmax{Axis: -1},
			op.LogSoftmax{Axis: -1},
			op.Reduce{Kind: "sum", Axes: []int{1}, Keep: true},
			op.Reduce{Kind: "mean", Axes: []int{1}, Keep: true},
			op.GELU{},
			op.GELU{Tanh: true},
			op.Bias{},
		} {
			inputs := func(x *op.Array) []*op.Array {
				switch o.(type) {
				case op.LayerNorm:
					return []*op.Array{x, gamma, beta}
				case op.Bias, op.RMSNorm:
					return []*op.Array{x, beta}
				}
				return []*op.Array{x}
			}
			all, err := m.compute(o, inputs(x), dense, dense)
			require.NoError(t, err)
			for r, as := range []memory{ragged, shifted, gapped} {
				alone, err := m.compute(o, inputs(row(x, r)), as, as)
				require.NoError(t, err)
				requireBits(t, row(all, r), alone, fmt.Sprint(o.Name(), " row ", r, " of ", n, " in layout ", as))
			}
		}
	}
}

// TestReduceOverOuterAxes holds that the order of a reduction is the same along
// any axis.
func TestReduceOverOuterAxes(t *testing.T) {
	m := newRig(t)
	for _, n := range []int{2, 33, 300, 1025, 8200} {
		for _, kind := range []string{"sum", "mean", "max"} {
			x := floats(33, n).make(n)
			along, err := m.compute(op.Reduce{Kind: kind, Axes: []int{1}}, []*op.Array{x}, dense, dense)
			require.NoError(t, err)
			y := op.NewArray(plan.F32, n, 33)
			require.NoError(t, op.Transpose{Perm: []int{1, 0}}.Eval(y, []*op.Array{x}, nil))
			for _, as := range []memory{dense, turned}[:1+min(2000/n, 1)] {
				across, err := m.compute(op.Reduce{Kind: kind, Axes: []int{0}}, []*op.Array{y}, as, dense)
				require.NoError(t, err)
				requireBits(t, along, across, fmt.Sprint(kind, " of ", n))
			}
		}
	}
	require.Contains(t, m.launched, "reduce_columns")
}

// TestLayerNormOfLargeMean has rows whose mean is far larger than their
// deviation, and constant rows.
func TestLayerNormOfLargeMean(t *testing.T) {
	m := newRig(t)
	for _, n := range []int{64, 1600, 8196} {
		x := floats(4, n).make(n)
		for i := range n {
			x.F32()[i] += 3000
			x.F32()[n+i] = x.F32()[n+i]/4 - 100
			x.F32()[2*n+i] = 0.1
			x.F32()[3*n+i] *= 1e4
		}
		in := []*op.Array{x, positive(n).make(1), floats(n).make(2)}
		want, err := reference(t, op.LayerNorm{Eps: 1e-5}, in)
		require.NoError(t, err)
		got, err := m.compute(op.LayerNorm{Eps: 1e-5}, in, dense, dense)
		require.NoError(t, err)
		for r := range 4 {
			requireNear(t, row(want, r), row(got, r), 5e-6, fmt.Sprint("row ", r, " of ", n))
		}
	}
}

// TestSumOfBothSigns has sums that are far smaller than the numbers.
func TestSumOfBothSigns(t *testing.T) {
	m := newRig(t)
	const n = 4097
	x := floats(2, n).make(5)
	for i := range n / 2 {
		x.F32()[2*i+1] = -x.F32()[2*i]
	}
	want, err := reference(t, op.Reduce{Kind: "sum", Axes: []int{1}}, []*op.Array{x})
	require.NoError(t, err)
	got, err := m.compute(op.Reduce{Kind: "sum", Axes: []int{1}}, []*op.Array{x}, dense, dense)
	require.NoError(t, err)
	requireNear(t, want, got, 1e-6, "sum")
}

// TestRowsOfSpecialNumbers has one special number in a row, or two, or nothing
// else.
func TestRowsOfSpecialNumbers(t *testing.T) {
	m := newRig(t)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	marks := [][]float32{{nan}, {inf}, {-inf}, {inf, nan}, {nan, inf}, {inf, -inf}, {op.MaskValue}, {3e38}, {-3e38, 3e38}}
	for _, n := range []int{5, 64, 300, 8200} {
		x := floats(2*len(marks)+2, n).make(n)
		at := func(r, i int) *float32 { return &x.F32()[r*n+i] }
		for r, mark := range marks {
			for i, v := range mark {
				*at(r, (7*r+i*(n/2))%n) = v
			}
			for i := range n {
				*at(len(marks)+r, i) = mark[i%len(mark)]
			}
		}
		for i := range n {
			*at(2*len(marks), i) = float32(math.Copysign(0, -1))
			*at(2*len(marks)+1, i) = float32(math.Copysign(0, float64(i%2)-0.5))
		}
		for _, o := range []op.Op{op.Softmax{Axis: 1}, op.LogSoftmax{Axis: 1}, op.Reduce{Kind: "max", Axes: []int{1}}, op.Reduce{Kind: "sum", Axes: []int{1}}} {
			want, err := reference(t, o, []*op.Array{x})
			require.NoError(t, err)
			got, err := m.compute(o, []*op.Array{x}, dense, dense)
			require.NoError(t, err)
			requireNear(t, want, got, tolerance, fmt.Sprint(o.Name(), n))
		}
	}
}
