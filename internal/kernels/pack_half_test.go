package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPack16(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	for _, size := range [][2]int{{0, 5}, {5, 0}, {1, 1}, {3, 32}, {33, 33}, {17, 70}, {40, 31}, {100, 128}, {9, 8}} {
		k, n := size[0], size[1]
		rows, columns := make([]uint16, k*n), make([]uint16, k*n)
		want, junk := make([]uint16, PackedLen(k, n)), make([]uint16, PackedLen(k, n))
		for i := range junk {
			junk[i] = 0xdead
		}
		for l := range k {
			for j := range n {
				x := uint16(rng.Uint32())
				rows[l*n+j], columns[j*k+l], want[j/16*16*k+l*16+j%16] = x, x, x
			}
		}
		got := append([]uint16{}, junk...)
		for l := k; l > 0; {
			l0 := max(0, l-1-rng.IntN(5))
			PackRows16(got, rows[l0*n:l*n], l0, l, k, n)
			l = l0
		}
		require.Equal(t, want, got, "rows, k %d n %d", k, n)
		for _, most := range []int{1, 5, 16, n + 1} {
			got := append([]uint16{}, junk...)
			for j := n; j > 0; {
				j0 := max(0, j-1-rng.IntN(most))
				PackColumns16(got, columns[j0*k:j*k], j0, j, k, n)
				j = j0
			}
			require.Equal(t, want, got, "columns, k %d n %d", k, n)
		}
		got = append([]uint16{}, junk...)
		PackColumns16(got, columns, 0, n, k, n)
		require.Equal(t, want, got, "all columns, k %d n %d", k, n)
	}
}

func TestGather(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(63, 64))
		for _, size := range [][2]int{{1, 1}, {3, 32}, {33, 33}, {17, 70}} {
			k, n := size[0], size[1]
			w := randoms(rng, PackedLen(k, n))
			bf16, f16, i8 := make([]uint16, len(w)), make([]uint16, len(w)), make([]int8, len(w))
			F32ToBF16(bf16, w)
			F32ToF16(f16, w)
			scales := make([]float32, n)
			require.NoError(t, QuantizeColumns(i8, scales, w, k, n, 0, Panels(n)))
			for name, c := range map[string]struct {
				row, column func(dst []float32, i int)
				wide        func(at, column int) float32
			}{
				"f32": {
					func(dst []float32, i int) { GatherPackedF32(dst, w, i, k, n, nil) },
					func(dst []float32, i int) { GatherColumnF32(dst, w, i, k, n, nil) },
					func(at, _ int) float32 { return w[at] },
				},
				"bf16": {
					func(dst []float32, i int) { GatherPackedBF16(dst, bf16, i, k, n, nil) },
					func(dst []float32, i int) { GatherColumnBF16(dst, bf16, i, k, n, nil) },
					func(at, _ int) float32 { return math.Float32frombits(uint32(bf16[at]) << 16) },
				},
				"f16": {
					func(dst []float32, i int) { GatherPackedF16(dst, f16, i, k, n, nil) },
					func(dst []float32, i int) { GatherColumnF16(dst, f16, i, k, n, nil) },
					func(at, _ int) float32 { return float32(f16Value(f16[at])) },
				},
				"i8": {
					func(dst []float32, i int) { GatherPackedI8(dst, i8, scales, i, k, n, nil) },
					func(dst []float32, i int) { GatherColumnI8(dst, i8, scales, i, k, n, nil) },
					func(at, column int) float32 { return scales[column] * float32(i8[at]) },
				},
			} {
				row, column := make([]float32, n), make([]float32, k)
				for l := range k {
					c.row(row, l)
					for j, x := range row {
						require.Equal(t, c.wide(j/16*16*k+l*16+j%16, j), x, "%s row %d column %d", name, l, j)
					}
				}
				for j := range n {
					c.column(column, j)
					for l, x := range column {
						require.Equal(t, c.wide(j/16*16*k+l*16+j%16, j), x, "%s column %d row %d", name, j, l)
					}
				}
			}
		}
	})
}

func TestShortNarrowSlicesPanic(t *testing.T) {
	f, h, q := func(n int) []float32 { return make([]float32, n) }, func(n int) []uint16 { return make([]uint16, n) }, make([]int8, 48)
	for name, call := range map[string]func(){
		"C":                   func() { GemmPackedBF16(f(5), 3, f(6), 3, h(48), 2, 3, 3, 0, 1, nil) },
		"A":                   func() { GemmPackedF16(f(6), 3, f(5), 3, h(48), 2, 3, 3, 0, 1, nil) },
		"B":                   func() { GemmPackedBF16(f(6), 3, f(6), 3, h(47), 2, 3, 3, 0, 1, nil) },
		"panels":              func() { GemmPackedBF16(f(6), 3, f(6), 3, h(48), 2, 3, 3, 0, 2, nil) },
		"B of 8 bits":         func() { GemmPackedI8(f(6), 3, f(6), 3, q[:47], f(3), 2, 3, 3, 0, 1, nil) },
		"scales":              func() { GemmPackedI8(f(6), 3, f(6), 3, q, f(2), 2, 3, 3, 0, 1, nil) },
		"quantized":           func() { _ = QuantizeColumns(q[:47], f(3), f(48), 3, 3, 0, 1) },
		"quantized from":      func() { _ = QuantizeColumns(q, f(3), f(47), 3, 3, 0, 1) },
		"quantized scales":    func() { _ = QuantizeColumns(q, f(2), f(48), 3, 3, 0, 1) },
		"quantized panels":    func() { _ = QuantizeColumns(q, f(3), f(48), 3, 3, 0, 2) },
		"rows":                func() { PackRows16(h(48), h(9), 1, 4, 3, 3) },
		"rows dst":            func() { PackRows16(h(47), h(9), 0, 3, 3, 3) },
		"columns":             func() { PackColumns16(h(48), h(8), 0, 3, 3, 3) },
		"columns dst":         func() { PackColumns16(h(47), h(9), 0, 3, 3, 3) },
		"gathered row":        func() { GatherPackedBF16(f(3), h(48), 3, 3, 3, nil) },
		"gathered column":     func() { GatherColumnBF16(f(3), h(48), -1, 3, 3, nil) },
		"gathered dst":        func() { GatherColumnF16(f(4), h(48), 0, 3, 3, nil) },
		"gathered from":       func() { GatherPackedF32(f(3), f(47), 0, 3, 3, nil) },
		"gathered scales":     func() { GatherPackedI8(f(3), q, f(2), 0, 3, 3, nil) },
		"gathered scale":      func() { GatherColumnI8(f(3), q, f(2), 2, 3, 3, nil) },
		"gathered float row":  func() { GatherPackedF16(f(2), h(48), 0, 3, 3, nil) },
		"gathered float col.": func() { GatherColumnF32(f(3), f(48), 3, 3, 3, nil) },
	} {
		t.Run("call="+name, func(t *testing.T) {
			defer func() {
				require.Contains(t, fmt.Sprint(recover()), "kernels: ")
			}()
			call()
		})
	}
}
