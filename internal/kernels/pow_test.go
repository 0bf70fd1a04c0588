//go:build unix

package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// powWithin reports whether got is x to the power y within the bound of Pow.
func powWithin(x, y, got float32) bool {
	want := math.Pow(float64(x), float64(y))
	if f := float32(want); math.IsInf(want, 0) || want == 0 || want != want {
		return math.Float32bits(f) == math.Float32bits(got) || f != f && got != got
	}
	limit := math.Copysign(min(math.Abs(want), 1<<128), want)
	value := float64(got)
	if math.IsInf(value, 0) {
		value = math.Copysign(1<<128, value)
	}
	return math.Abs(value-limit) <= 0.51*ulp(limit) && math.Signbit(value) == math.Signbit(want)
}

func TestPow(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	special := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5, -1.5, 10, -10, inf, -inf, nan, 3e-42, -3e-42,
		math.MaxFloat32, -math.MaxFloat32, 1e30, 1e-30, 1 << 24, 1<<24 + 2, 16777215, -16777215, 0.99999994, 1.0000001, 127.5, -149, 128,
	}
	rng := rand.New(rand.NewPCG(51, 52))
	eachGuard(t, func(t *testing.T, mem *arena) {
		var a, b []float32
		for _, x := range special {
			for _, y := range special {
				a, b = append(a, x), append(b, y)
			}
		}
		for range 20000 {
			a, b = append(a, float32(math.Exp(rng.NormFloat64()*20))), append(b, float32(rng.NormFloat64()*4))
			a, b = append(a, float32(1+rng.NormFloat64()*1e-3)), append(b, float32(rng.NormFloat64()*1e4))
			a, b = append(a, float32(rng.NormFloat64())), append(b, float32(rng.IntN(20)-10))
		}
		for at := 0; at < len(a); {
			n := min(rng.IntN(1500), len(a)-at)
			mem.reset()
			x, y, dst := mem.copyOf(a[at:at+n]), mem.copyOf(b[at:at+n]), guarded[float32](mem, n)
			Pow(dst, x, y)
			for i := range n {
				require.True(t, powWithin(x[i], y[i], dst[i]), "%v to the power %v is %v, want %v", x[i], y[i], dst[i], math.Pow(float64(x[i]), float64(y[i])))
			}
			got := make([]float32, n)
			Pow(got, a[at:at+n], b[at:at+n])
			Pow(x, x, y)
			requireBits(t, dst, x, "in place")
			requireBits(t, dst, got, "elsewhere")
			at += n
		}
	})
	require.Panics(t, func() { Pow(make([]float32, 2), make([]float32, 2), make([]float32, 1)) })
}
