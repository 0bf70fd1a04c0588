//go:build unix

package kernels

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// plain computes an operator of two numbers as its name says.
func plain[T cmp.Ordered](operator string, x, y T) any {
	switch operator {
	case "equal":
		return x == y
	case "less":
		return x < y
	case "less_equal":
		return x <= y
	case "greater":
		return x > y
	case "greater_equal":
		return x >= y
	case "min":
		return min(x, y)
	case "max":
		return max(x, y)
	}
	return nil
}

func plainInt[T int32 | int64](operator string, x, y T) any {
	switch operator {
	case "add":
		return x + y
	case "sub":
		return x - y
	case "mul":
		return x * y
	}
	return plain(operator, x, y)
}

func plainBool(operator string, x, y byte) any {
	a, b := x != 0, y != 0
	switch operator {
	case "and":
		return a && b
	case "or":
		return a || b
	case "xor":
		return a != b
	case "equal":
		return a == b
	}
	return nil
}

// testPairs compares kernels on slices of all lengths with f; elements are drawn
// from the given ones, so that many are equal.
func testPairs[T float32 | uint8 | int32 | int64, R float32 | uint8 | int32 | int64](t *testing.T, mem *arena, kernels map[string]func(dst []R, a, b []T), elements []T, f func(operator string, x, y T) any) {
	t.Helper()
	require.NotEmpty(t, kernels)
	rng := rand.New(rand.NewPCG(31, 32))
	for name, kernel := range kernels {
		for n := range 200 {
			mem.reset()
			a, b, dst := guarded[T](mem, n), guarded[T](mem, n), guarded[R](mem, n)
			for i := range n {
				a[i], b[i] = elements[rng.IntN(len(elements))], elements[rng.IntN(len(elements))]
			}
			want := make([]any, n)
			for i := range n {
				want[i] = f(name, a[i], b[i])
			}
			check := func(got []R, how string) {
				for i, w := range want {
					if yes, ok := w.(bool); ok {
						w = any(one(yes))
					}
					if f, ok := w.(float32); ok && math.Signbit(float64(f)) != math.Signbit(float64(any(got[i]).(float32))) && f == f {
						t.Fatalf("%s of %v and %v: a zero of the wrong sign", name, a[i], b[i])
					}
					if w == any(got[i]) || w != w && got[i] != got[i] { //nolint:gocritic // NaN
						continue
					}
					t.Fatalf("%s of %T%s: element %d of %d: %v and %v give %v, want %v", name, a[i], how, i, n, a[i], b[i], got[i], w)
				}
			}
			kernel(dst, a, b)
			check(dst, "") // a and b are as they were
			if same, ok := any(a).([]R); ok {
				kernel(same, a, b)
				check(same, " in place")
			}
		}
	}
}

func TestPairs(t *testing.T) {
	eachGuard(t, func(t *testing.T, mem *arena) {
		inf := float32(math.Inf(1))
		floats := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 2, inf, -inf, float32(math.NaN()), 3e-42, -3e-42, math.MaxFloat32, 7.25, -7.25}
		ints := []int32{0, 1, -1, math.MaxInt32, math.MinInt32, 7, -7, 123456789}
		longs := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 7, -7, 1 << 33, -1 << 33, 1<<33 + 1, math.MaxInt32}
		testPairs(t, mem, pairsF32, floats, plain[float32])
		testPairs(t, mem, comparisonsF32, floats, plain[float32])
		testPairs(t, mem, pairsI32, ints, plainInt[int32])
		testPairs(t, mem, comparisonsI32, ints, plain[int32])
		testPairs(t, mem, pairsI64, longs, plainInt[int64])
		testPairs(t, mem, comparisonsI64, longs, plain[int64])
		testPairs(t, mem, pairsBool, []byte{0, 1, 0, 1, 255, 2}, plainBool)
	})
}

// TestPairsByOperator holds that the tables are what their functions say.
func TestPairsByOperator(t *testing.T) {
	for _, name := range []string{"add", "sub", "mul", "div", "min", "max"} {
		require.NotNil(t, PairF32(name), name)
	}
	for _, name := range []string{"add", "sub", "mul", "min", "max"} {
		require.NotNil(t, PairI32(name), name)
		require.NotNil(t, PairI64(name), name)
	}
	for _, name := range []string{"equal", "less", "less_equal", "greater", "greater_equal"} {
		require.NotNil(t, CompareF32(name), name)
		require.NotNil(t, CompareI32(name), name)
		require.NotNil(t, CompareI64(name), name)
	}
	for _, name := range []string{"and", "or", "xor", "equal"} {
		require.NotNil(t, PairBool(name), name)
	}
	require.Nil(t, PairF32("equal"))
	require.Panics(t, func() { PairF32("min")(make([]float32, 3), make([]float32, 3), make([]float32, 2)) })
	require.Panics(t, func() { CompareF32("less")(make([]byte, 3), make([]float32, 4), make([]float32, 4)) })
}

func testSelect[T uint8 | uint32 | uint64](t *testing.T, mem *arena) {
	t.Helper()
	rng := rand.New(rand.NewPCG(33, 34))
	for n := range 200 {
		mem.reset()
		cond, a, b, dst := guarded[byte](mem, n), guarded[T](mem, n), guarded[T](mem, n), guarded[T](mem, n)
		want := make([]T, n)
		for i := range n {
			a[i], b[i], cond[i] = T(rng.Uint64()), T(rng.Uint64()), byte(rng.IntN(3)*127)
			if want[i] = b[i]; cond[i] != 0 {
				want[i] = a[i]
			}
		}
		Select(dst, cond, a, b)
		require.Equal(t, want, append(make([]T, 0, n), dst...), "%T of %d", want, n)
		Select(b, cond, a, b)
		require.Equal(t, want, append(make([]T, 0, n), b...), "%T of %d in place", want, n)
	}
}

func TestSelect(t *testing.T) {
	eachGuard(t, func(t *testing.T, mem *arena) {
		testSelect[uint8](t, mem)
		testSelect[uint32](t, mem)
		testSelect[uint64](t, mem)
	})
	require.Panics(t, func() { Select(make([]byte, 2), make([]byte, 1), make([]byte, 2), make([]byte, 2)) })
}

func TestStream(t *testing.T) {
	eachGuard(t, func(t *testing.T, mem *arena) {
		for _, n := range []int{0, 1, 63, 64, 65, 255, 256, 257, 320, 1000, 4096} {
			for shift := range 3 {
				mem.reset()
				src, dst := guarded[byte](mem, n), guarded[byte](mem, n+2*shift)
				for i := range src {
					src[i] = byte(i*7 + 1)
				}
				clear(dst)
				Stream(dst[shift:shift+n], src)
				StreamEnd()
				require.Equal(t, string(src), string(dst[shift:shift+n]), "%d bytes at %p", n, unsafe.SliceData(dst))
				require.Equal(t, make([]byte, shift), append([]byte{}, dst[:shift]...))
				require.Equal(t, make([]byte, shift), append([]byte{}, dst[shift+n:]...))
			}
		}
	})
}

// FuzzPaths gives all paths the same numbers: kernels of two inputs give the same
// bits, and functions stay within their bounds.
func FuzzPaths(f *testing.F) {
	f.Add([]byte("\x00\x00\x80\x3f\x00\x00\x80\xff\x01\x00\x00\x80abcdefgh0123456789ABCDEF"))
	f.Add(make([]byte, 300))
	f.Fuzz(func(t *testing.T, raw []byte) {
		x := make([]float32, len(raw)/4)
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		a, b := x[:len(x)/2], x[len(x)/2:len(x)/2*2]
		eachPath(t, func(t *testing.T) {
			for name, kernel := range pairsF32 {
				got := make([]float32, len(a))
				kernel(got, a, b)
				for i := range got {
					want := plain(name, a[i], b[i]).(float32)
					requireBits(t, []float32{want}, got[i:i+1], "%s of %v and %v", name, a[i], b[i])
				}
			}
			for name, kernel := range comparisonsF32 {
				got := make([]byte, len(a))
				kernel(got, a, b)
				for i := range got {
					require.Equal(t, one(plain(name, a[i], b[i]).(bool)), got[i], "%s of %v and %v", name, a[i], b[i])
				}
			}
			got := make([]float32, len(a))
			Pow(got, a, b)
			for i := range got {
				require.True(t, powWithin(a[i], b[i], got[i]), "%v to the power %v is %v", a[i], b[i], got[i])
			}
			for name, f := range accuracies {
				_, bad := f.check(x, make([]float32, len(x)))
				require.Empty(t, bad, name)
			}
		})
	})
}
