//go:build unix

package kernels

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// arena gives slices that touch a page which cannot be read or written, behind
// them or, with before, in front of them: a kernel that strays faults.
type arena struct {
	memory []byte
	before bool
	next   int
}

const guardedSlot = 1 << 17

func newArena(t *testing.T, slots int, before bool) *arena {
	t.Helper()
	memory, err := syscall.Mmap(-1, 0, (2*slots+1)*guardedSlot, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(memory)) })
	for i := range slots + 1 {
		require.NoError(t, syscall.Mprotect(memory[2*i*guardedSlot:][:guardedSlot], syscall.PROT_NONE))
	}
	return &arena{memory: memory, before: before}
}

func (a *arena) reset() { a.next = 0 }

func guarded[T float32 | float64 | uint8 | uint16 | uint32 | uint64 | int8 | int32 | int64](a *arena, n int) []T {
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	if size > guardedSlot {
		panic("slot too small")
	}
	slot := a.memory[(2*a.next+1)*guardedSlot:][:guardedSlot]
	a.next++
	if n == 0 {
		return nil
	}
	if !a.before {
		slot = slot[guardedSlot-size:]
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(slot))), n)
}

func (a *arena) copyOf(s []float32) []float32 {
	g := guarded[float32](a, len(s))
	copy(g, s)
	return g
}

func eachGuard(t *testing.T, f func(t *testing.T, a *arena)) {
	t.Helper()
	eachPath(t, func(t *testing.T) {
		for _, before := range []bool{false, true} {
			f(t, newArena(t, 9, before))
		}
	})
}

func TestGemmStaysInBounds(t *testing.T) {
	eachGuard(t, func(_ *testing.T, mem *arena) {
		rng := rand.New(rand.NewPCG(23, 24))
		for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 33} {
			for _, n := range []int{1, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 47, 49, 70, 130} {
				for _, k := range []int{0, 1, 4, 7, 15, 16, 17, 33, 100} {
					mem.reset()
					a, b := mem.copyOf(randoms(rng, m*k)), mem.copyOf(randoms(rng, k*n))
					c, packed := guarded[float32](mem, m*n), guarded[float32](mem, PackedLen(k, n))
					Pack(packed, b, n, 1, k, n)
					Pack(packed, b, 1, k, k, n)
					PackRows(packed, b, 0, k, k, n)
					PackColumns(packed, b, 0, n, k, n)
					GemmPacked(c, n, a, k, packed, m, n, k, 0, Panels(n), nil)
					GemmNN(c, n, a, k, b, n, m, 0, n, k, nil)
					GemmNT(c, n, a, k, b, k, m, 0, n, k, nil)
				}
			}
		}
	})
}

func TestSlicesStayInBounds(t *testing.T) {
	eachGuard(t, func(_ *testing.T, mem *arena) {
		rng := rand.New(rand.NewPCG(25, 26))
		for n := range 100 {
			mem.reset()
			x, y, dst := mem.copyOf(randoms(rng, n)), mem.copyOf(randoms(rng, n)), guarded[float32](mem, n)
			half := guarded[uint16](mem, n)
			for _, op := range arithmeticCases {
				op.scalar(dst, x, 2)
				if op.binary != nil {
					op.binary(dst, x, y)
				}
			}
			for _, f := range accuracies {
				f.apply(dst, x)
			}
			Softmax(dst, x, nil)
			LayerNorm(dst, x, nil, nil, 1e-5, nil)
			LayerNorm(dst, x, y, y, 1e-5, nil)
			RMSNorm(dst, x, nil, 0, 1e-5, nil)
			RMSNorm(dst, x, y, 1, 1e-5, nil)
			LogSoftmax(dst, x, nil)
			RotateHalves(dst, x, y[:n/2], x[n-n/2:], nil)
			RotatePairs(dst, x, y[:n/2], x[n-n/2:], nil)
			hideWhereZero(dst, guarded[byte](mem, n))
			_, _, _ = Sum(x), Max(x), ArgMax(x, nil)
			F32ToF16(half, x)
			F16ToF32(dst, half)
			F32ToBF16(half, x)
			BF16ToF32(dst, half)
			AddBias(dst, n, y, 1, 0, n)
			TopK(dst, make([]int32, n), x, n/2, nil)
			DrawWeights(guarded[float64](mem, n), x, 1, 1, nil)
		}
	})
}
