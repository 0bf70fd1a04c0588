//go:build unix

package kernels

import (
	"math/rand/v2"
	"testing"
)

func TestNarrowStaysInBounds(t *testing.T) {
	eachGuard(t, func(t *testing.T, mem *arena) {
		rng := rand.New(rand.NewPCG(65, 66))
		for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 12, 13, 20} {
			for _, n := range []int{1, 15, 16, 17, 32, 33, 64, 70, 130} {
				for _, k := range []int{1, 3, 4, 5, 16, 33, 100} {
					mem.reset()
					a, b, c := mem.copyOf(randoms(rng, m*k)), mem.copyOf(randoms(rng, k*n)), guarded[float32](mem, m*n)
					half, packed16 := guarded[uint16](mem, k*n), guarded[uint16](mem, PackedLen(k, n))
					packed, packed8, scales := make([]float32, PackedLen(k, n)), guarded[int8](mem, PackedLen(k, n)), guarded[float32](mem, n)
					F32ToF16(half, b)
					PackColumns16(packed16, half, 0, n, k, n)
					PackRows16(packed16, half, 0, k, k, n)
					Pack(packed, b, n, 1, k, n)
					if err := QuantizeColumns(packed8, scales, packed, k, n, 0, Panels(n)); err != nil {
						t.Fatal(err)
					}
					GemmPackedBF16(c, n, a, k, packed16, m, n, k, 0, Panels(n), nil)
					GemmPackedF16(c, n, a, k, packed16, m, n, k, 0, Panels(n), nil)
					GemmPackedI8(c, n, a, k, packed8, scales, m, n, k, 0, Panels(n), nil)
					row := c[:n]
					for l := range k {
						GatherPackedF16(row, packed16, l, k, n, nil)
						GatherPackedBF16(row, packed16, l, k, n, nil)
						GatherPackedI8(row, packed8, scales, l, k, n, nil)
					}
					for j := range n {
						GatherColumnF16(a[:k], packed16, j, k, n, nil)
						GatherColumnI8(a[:k], packed8, scales, j, k, n, nil)
					}
				}
			}
		}
	})
}

func TestNarrowProductsDoNotAllocate(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		const m, n, k = 7, 70, 300
		a, c, scales := make([]float32, m*k), make([]float32, m*n), make([]float32, n)
		half, bytes := make([]uint16, PackedLen(k, n)), make([]int8, PackedLen(k, n))
		if allocs := testing.AllocsPerRun(20, func() {
			GemmPackedBF16(c, n, a, k, half, m, n, k, 0, Panels(n), nil)
			GemmPackedI8(c, n, a, k, bytes, scales, m, n, k, 0, Panels(n), nil)
			GatherPackedBF16(c[:n], half, 3, k, n, nil)
			GatherColumnI8(a[:k], bytes, scales, 3, k, n, nil)
		}); allocs > 2*pooledAllocs { // the two products take scratch
			t.Fatalf("%v allocations", allocs)
		}
	})
}
