package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var arithmeticCases = map[string]struct {
	binary func(dst, a, b []float32)
	scalar func(dst, a []float32, s float32)
	want   func(x, y float32) float32
}{
	"add":  {Add, AddScalar, func(x, y float32) float32 { return x + y }},
	"sub":  {Sub, SubScalar, func(x, y float32) float32 { return x - y }},
	"mul":  {Mul, MulScalar, func(x, y float32) float32 { return x * y }},
	"div":  {Div, DivScalar, func(x, y float32) float32 { return x / y }},
	"rsub": {nil, func(dst, a []float32, s float32) { ScalarSub(dst, s, a) }, func(x, y float32) float32 { return y - x }},
	"rdiv": {nil, func(dst, a []float32, s float32) { ScalarDiv(dst, s, a) }, func(x, y float32) float32 { return y / x }},
}

func TestArithmetic(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 8))
		for name, op := range arithmeticCases {
			for n := range 70 {
				a, b := randoms(rng, n), randoms(rng, n+1)
				want, scalar := make([]float32, n), make([]float32, n)
				for i := range n {
					want[i], scalar[i] = op.want(a[i], b[i]), op.want(a[i], b[n])
				}
				got := filled(n+20, guard)
				op.scalar(got[:n], a, b[n])
				requireBits(t, scalar, got[:n], "%s scalar n %d", name, n)
				if op.binary != nil {
					op.binary(got[:n], a, b[:n])
					requireBits(t, want, got[:n], "%s n %d", name, n)
					op.binary(a, a, b[:n])
					requireBits(t, want, a, "%s in place n %d", name, n)
				}
				requireBits(t, filled(20, guard), got[n:], "%s n %d wrote beyond its slice", name, n)
			}
		}
	})
}

func TestAddBias(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		c := filled(3*10, 1)
		AddBias(c, 10, []float32{1, 2, 3, 4, 5, 6, 7, 8}, 3, 2, 7)
		require.Equal(t, []float32{1, 1, 4, 5, 6, 7, 8, 1, 1, 1}, c[20:])
		AddBias(nil, 0, nil, 0, 0, 0)
	})
}

func TestFunctionsAtSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	negZero := float32(math.Copysign(0, -1))
	eachPath(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			apply func(dst, src []float32)
			want  [6]float32 // of 0, -0, Inf, -Inf, NaN, -1e30
		}{
			"exp":       {Exp, [6]float32{1, 1, inf, 0, nan, 0}},
			"tanh":      {Tanh, [6]float32{0, negZero, 1, -1, nan, -1}},
			"relu":      {Relu, [6]float32{0, negZero, inf, 0, nan, 0}},
			"sqrt":      {Sqrt, [6]float32{0, negZero, inf, nan, nan, nan}},
			"gelutanh":  {GeluTanh, [6]float32{0, negZero, inf, nan, nan, negZero}},
			"quickgelu": {QuickGelu, [6]float32{0, negZero, inf, nan, nan, negZero}},
			"geluerf":   {GeluErf, [6]float32{0, negZero, inf, nan, nan, negZero}},
		} {
			got := make([]float32, 6)
			c.apply(got, []float32{0, negZero, inf, -inf, nan, -1e30})
			requireBits(t, c.want[:], got, "%s of 0, -0, Inf, -Inf, NaN, -1e30", name)
		}
	})
}

// TestActivationsAtSpecialValues verifies that each activation matches float64
// at values that are not finite, and at those where its formula overflows, down
// to the sign of a zero.
func TestActivationsAtSpecialValues(t *testing.T) {
	inf := float32(math.Inf(1))
	src := []float32{0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()), -1e30, 1e30, -math.MaxFloat32, math.MaxFloat32}
	eachPath(t, func(t *testing.T) {
		for name, f := range accuracies {
			got, want := make([]float32, len(src)), make([]float32, len(src))
			f.apply(got, src)
			for i, x := range src {
				exact := f.exact(float64(x))
				want[i] = float32(exact)
				// Within the bound where that is about units of the last place.
				if f.absolute(float64(x)) == 0 && math.Abs(float64(got[i])-exact) <= f.ulps*ulp(exact) && exact != 0 {
					got[i] = want[i]
				}
			}
			requireBits(t, want, got, "%s of %v", name, src)
		}
	})
}

// TestActivation finds kernels by operator: those that one kernel computes.
func TestActivation(t *testing.T) {
	names := map[string]bool{}
	for _, a := range activations {
		require.False(t, names[a.name], "two are called %s", a.name)
		names[a.name] = true
		if a.operator != "" {
			require.False(t, names["operator "+a.operator], "two compute %s", a.operator)
			names["operator "+a.operator] = true
			got, want := []float32{0.7}, []float32{0.7}
			Activation(a.operator)(got, got)
			a.apply(want, want)
			requireBits(t, want, got, "%s", a.operator)
		}
	}
	require.Nil(t, Activation(""))
	require.Nil(t, Activation("add"))
}

// TestSqrt verifies that a root is rounded once, to the nearest.
func TestSqrt(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for n := range 70 {
		src := randoms(rng, n)
		want, got := make([]float32, n), filled(n+20, guard)
		for i, x := range src {
			want[i] = float32(math.Sqrt(float64(x)))
		}
		Sqrt(got[:n], src)
		requireBits(t, want, got[:n], "n %d", n)
		requireBits(t, filled(20, guard), got[n:], "n %d wrote beyond its slice", n)
		Sqrt(src, src)
		requireBits(t, want, src, "n %d in place", n)
	}
}

// An element's result does not depend on where it stands, nor on what follows.
func TestFunctionBitsDoNotDependOnPlace(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(9, 10))
		src := randoms(rng, 130)
		for name, f := range accuracies {
			all := make([]float32, len(src))
			f.apply(all, src)
			for lo := range 20 {
				for n := range 50 {
					got := filled(n+20, guard)
					f.apply(got[:n], src[lo:lo+n])
					requireBits(t, all[lo:lo+n], got[:n], "%s elements %d..%d", name, lo, lo+n)
					requireBits(t, filled(20, guard), got[n:], "%s wrote beyond its slice", name)
				}
			}
			f.apply(src, src)
			requireBits(t, all, src, "%s in place", name)
		}
	})
}
