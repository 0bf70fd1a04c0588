package op_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// viewed is a value and its layout over a base of consecutive i32.
type viewed struct {
	spec   plan.Spec
	layout op.Layout
	array  *op.Array // the same value, copied step by step
}

func consecutive(shape []int) viewed {
	a := op.NewArray(plan.I32, shape...)
	for i := range a.Len() {
		binary.LittleEndian.PutUint32(a.Data[4*i:], uint32(i))
	}
	s := op.Static(shape)
	return viewed{plan.Spec{DType: plan.I32, Shape: s}, op.DenseLayout(s), a}
}

// apply applies o to v, by layout and by copying; ok is false when o has to
// copy.
func (v viewed) apply(t *testing.T, o op.Op) (viewed, bool) {
	t.Helper()
	out, err := o.Infer([]plan.Spec{v.spec})
	require.NoError(t, err)
	shape, err := out.Shape.Eval(nil)
	require.NoError(t, err)
	a := op.NewArray(out.DType, shape...)
	require.NoError(t, o.Eval(a, []*op.Array{v.array}, nil))
	l, ok := o.(op.Viewer).View(v.spec, v.layout, out)
	return viewed{out, l, a}, ok
}

// requireSame reads base, the numbers 0, 1, 2 ..., through the layout.
func (v viewed) requireSame(t *testing.T, base int, trail []op.Op) {
	t.Helper()
	strides, err := plan.Shape(v.layout.Strides).Eval(nil)
	require.NoError(t, err)
	off, err := v.layout.Offset.Eval(nil)
	require.NoError(t, err)
	shape := v.array.Shape
	at := 0
	op.Walk(shape, func(p []int) {
		got := off + p[0]
		require.Less(t, got, base, "%v reads outside", trail)
		require.Equal(t, v.array.Int(at), got, "%v at %d: strides %v offset %d", trail, at, strides, off)
		at++
	}, strides)
	if v.layout.Dense && v.array.Len() > 0 {
		dense := op.Array{Shape: shape, Strides: strides}
		require.True(t, dense.Contiguous(), "%v says dense, has strides %v for %v", trail, strides, shape)
	}
}

// TestViewsAgreeWithCopies chains random reshapes, transposes, slices and
// identities: the layout over the first value must read the same elements as
// copying.
func TestViewsAgreeWithCopies(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	views := 0
	for range 4000 {
		v := consecutive(randomShape(rng, 1+rng.IntN(60)))
		base := v.array.Len()
		var trail []op.Op
		for range 1 + rng.IntN(6) {
			o := randomViewer(rng, v.array.Shape)
			trail = append(trail, o)
			next, ok := v.apply(t, o)
			if !ok {
				break
			}
			next.requireSame(t, base, trail)
			v = next
			views++
		}
	}
	require.Greater(t, views, 8000, "hardly anything was a view")
}

func randomShape(rng *rand.Rand, n int) []int {
	var s []int
	for len(s) < 4 && n > 1 {
		d := 1 + rng.IntN(n)
		for n%d != 0 {
			d--
		}
		s = append(s, d)
		n /= d
	}
	if n > 1 || rng.IntN(6) == 0 {
		s = append(s, n)
	}
	return s
}

func randomViewer(rng *rand.Rand, shape []int) op.Op {
	switch k := rng.IntN(8); {
	case k < 3:
		n := 1
		for _, d := range shape {
			n *= d
		}
		if n == 0 {
			return op.Reshape{Shape: op.Static([]int{3, 0})}
		}
		return op.Reshape{Shape: op.Static(randomShape(rng, n))}
	case k < 5:
		return op.Transpose{Perm: rng.Perm(len(shape))}
	case k < 7 && len(shape) > 0:
		axis := rng.IntN(len(shape))
		lo := rng.IntN(shape[axis] + 1)
		hi := lo + rng.IntN(shape[axis]-lo+1)
		if hi == lo && rng.IntN(4) > 0 { // empty slices end the chain early
			lo, hi = 0, shape[axis]
		}
		return op.Slice{Axis: axis - len(shape)*rng.IntN(2), Start: plan.C(lo), Stop: plan.C(hi)}
	}
	return op.Identity{}
}

// TestReshapeViewSymbolic splits the heads of a slice of a fused QKV tensor
// with unknown sizes.
func TestReshapeViewSymbolic(t *testing.T) {
	in := f32("b", "s", 2304)
	cut := op.Slice{Axis: 2, Start: plan.C(768), Stop: plan.C(1536)}
	mid, err := cut.Infer([]plan.Spec{in})
	require.NoError(t, err)
	l, ok := cut.View(in, op.DenseLayout(in.Shape), mid)
	require.True(t, ok)
	require.False(t, l.Dense)
	split := op.Reshape{Shape: shape("b", "s", 12, 64)}
	out, err := split.Infer([]plan.Spec{mid})
	require.NoError(t, err)
	l, ok = split.View(mid, l, out)
	require.True(t, ok)
	require.Equal(t, "[2304*s, 2304, 64, 1]", plan.Shape(l.Strides).String())
	require.Equal(t, "768", l.Offset.String())
	_, ok = op.Reshape{Shape: shape("b*s", 768)}.View(mid, l, f32("b*s", 768))
	require.True(t, ok, "rows of a slice are still one stride apart")
	_, ok = op.Reshape{Shape: shape("768*b*s")}.View(mid, op.Layout{Strides: shape("2304*s", 2304, 1)}, f32("768*b*s"))
	require.False(t, ok, "rows of a slice are not dense")
}
