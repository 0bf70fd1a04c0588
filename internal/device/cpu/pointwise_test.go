package cpu

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
)

// TestActivationKernels compares the kernel of each activation with the
// operator's independent reference. An activation without a kernel fails: the
// cost model assumes that the CPU has them all.
func TestActivationKernels(t *testing.T) {
	inf := float32(math.Inf(1))
	src := []float32{0, inf, -inf, float32(math.NaN()), 1e30, -1e30, math.MaxFloat32, -math.MaxFloat32, 3e-42, -3e-42}
	for x := float32(-120); x < 120; x += 0.37 {
		src = append(src, x)
	}
	for x := float32(1e-9); x < 1e9; x *= 1.7 {
		src = append(src, x, -x)
	}
	for _, o := range append(op.Activations(), op.GELU{}, op.GELU{Tanh: true}) {
		k, ok := pointwiseKernel(o)
		require.True(t, ok && k.unary != nil, "%s has no kernel", o.Name())
		got := make([]float32, len(src))
		want := op.FromF32(make([]float32, len(src)), len(src))
		k.unary(got, src)
		require.NoError(t, o.Eval(want, []*op.Array{op.FromF32(src, len(src))}, nil))
		for i, w := range want.F32() {
			// Within the kernel's tolerance near zero, or a few units in the
			// last place.
			near := math.Abs(float64(got[i])-float64(w)) <= max(2e-7, 1e-6*math.Abs(float64(w)))
			same := got[i] == w || got[i] != got[i] && w != w
			require.True(t, near || same, "%s(%g) is %g, its reference has %g", o.Name(), src[i], got[i], w)
		}
	}
}
