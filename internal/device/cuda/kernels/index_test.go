package kernels

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport/plan"
)

// TestDivisor divides as the kernels do, at multiples and beside them.
func TestDivisor(t *testing.T) {
	sizes := []int{1, 2, 3, 5, 6, 7, 10, 1600, 1<<16 - 1, 1<<16 + 1, 1<<30 - 1, 1 << 30, 1<<30 + 1, maxIndexed - 1, maxIndexed}
	for i := range 31 {
		sizes = append(sizes, 1<<i)
	}
	r := sequence(1)
	for range 200 {
		sizes = append(sizes, 1+int(r.next()>>(r.next()%31))%maxIndexed)
	}
	for _, n := range sizes {
		a := divisor(n)
		require.Equal(t, uint32(n), a.size)
		check := func(i int) {
			if i < 0 || i > maxIndexed {
				return
			}
			hi, lo := bits.Mul64(uint64(i), uint64(a.magic))
			require.Zero(t, hi)
			require.Equal(t, uint64(i/n), lo>>a.shift, "%d/%d", i, n)
		}
		for k := range 50 {
			check(k*n - 1)
			check(k * n)
			check(maxIndexed/n*n - k)
			check(maxIndexed - k)
			check(int(r.next()))
		}
	}
}

// TestMerge joins axes without gaps between them, and orders them by the output.
func TestMerge(t *testing.T) {
	tensor := func(strides []int, shape ...int) *Tensor {
		return &Tensor{DType: plan.F32, Shape: shape, Strides: strides}
	}
	o, err := over(tensor([]int{30, 10, 1}, 2, 3, 10), tensor([]int{30, 10, 1}, 2, 3, 10))
	require.NoError(t, err)
	o.sort()
	require.Equal(t, []int{60}, o.size[:o.rank])
	o, err = over(tensor([]int{30, 10, 1}, 2, 3, 10), tensor([]int{1}, 10))
	require.NoError(t, err)
	o.sort()
	require.Equal(t, []int{10, 6}, o.size[:o.rank])
	repeated, ok := o.vectors()
	require.False(t, ok, "rows of 10 are no vectors: %d", repeated)
	o, err = over(tensor([]int{1, 1, 2}, 2, 1, 10), tensor([]int{0, 0, 0}, 1, 1, 1))
	require.NoError(t, err)
	o.sort()
	require.Equal(t, []int{20}, o.size[:o.rank], "the output is in reverse order")
	_, ok = o.vectors()
	require.True(t, ok)
	_, err = over(tensor([]int{3, 1}, 2, 3), tensor([]int{1}, 2))
	require.Error(t, err)
	_, err = over(tensor([]int{1}, 3), tensor([]int{3, 1}, 1, 3))
	require.Error(t, err)
}
