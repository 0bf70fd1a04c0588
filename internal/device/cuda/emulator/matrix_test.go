package emulator_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// floatBytes are floats in memory, and floatsOf reads them.
func floatBytes(xs []float32) []byte {
	b := make([]byte, 0, 4*len(xs))
	for _, x := range xs {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func floatsOf(b []byte) []float32 {
	xs := make([]float32, len(b)/4)
	for i := range xs {
		xs[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return xs
}

func randoms(r *rand.Rand, n int) []float32 {
	xs := make([]float32, n)
	for i := range xs {
		xs[i] = float32(r.NormFloat64())
	}
	return xs
}

// dims is a pair of 32-bit integers of a parameter struct.
func dims(a, b int) uint64 { return uint64(uint32(a)) | uint64(b)<<32 }

// TestTile: a product through shared memory has the bits of a chain of FMAs in
// Go, computed in float64 where that is exact enough.
func TestTile(t *testing.T) {
	const rows, cols, inner = 128, 64, 48
	r := rand.New(rand.NewPCG(3, 4))
	a, b := randoms(r, rows*inner), randoms(r, inner*cols)
	m := open(t, emulator.Options{})
	pa, pb, pc := m.put(floatBytes(a)), m.put(floatBytes(b)), m.alloc(4*rows*cols)
	require.NoError(t, m.s.Launch(m.function(fixture(t, "matrix"), "tile"), driver.Dim{X: cols / 64, Y: rows / 64, Z: 1}, line(256), 0,
		args(uint64(pa), uint64(pb), uint64(pc), dims(rows, cols), dims(inner, 0))))
	got := floatsOf(m.get(pc, 4*rows*cols))
	for i := range rows {
		for j := range cols {
			sum := float32(0)
			for k := range inner {
				sum = fmaf(a[i*inner+k], b[k*cols+j], sum)
			}
			require.Equal(t, math.Float32bits(sum), math.Float32bits(got[i*cols+j]), "%d %d", i, j)
		}
	}
}

// fmaf rounds once.
func fmaf(a, b, c float32) float32 {
	return math.Float32frombits(uint32(fmaOf("rn", 4)(uint64(math.Float32bits(a)), uint64(math.Float32bits(b)), uint64(math.Float32bits(c)))))
}

// TestMatrixInstructions: the fragments of mma and ldmatrix hold the elements
// that their layouts say, so that the product is that of the matrices.
func TestMatrixInstructions(t *testing.T) {
	ptx := fixture(t, "matrix")
	r := rand.New(rand.NewPCG(5, 6))
	brain := func(x float32) (uint64, int) { return uint64(math.Float32bits(x) >> 16), 2 }
	for _, c := range []struct {
		kernel string
		round  func(x float32) (bits uint64, width int)
		value  func(bits uint64) float64
	}{
		{"mma_bf16", brain, func(b uint64) float64 { return float64(f32of(b << 16)) }},
		{"ldmatrix_bf16", brain, func(b uint64) float64 { return float64(f32of(b << 16)) }},
		{"mma_f16", func(x float32) (uint64, int) { return nearest16(float64(x), float16Of, 0x7bff), 2 }, float16Of},
		// The instruction ignores the low 13 bits.
		{"mma_tf32", func(x float32) (uint64, int) { return uint64(math.Float32bits(x)), 4 }, func(b uint64) float64 { return float64(f32of(b &^ 0x1fff)) }},
	} {
		t.Run(c.kernel, func(t *testing.T) {
			m := open(t, emulator.Options{})
			operand := func(n int) (driver.Ptr, []float64) {
				var b []byte
				var v []float64
				for _, x := range randoms(r, n) {
					bits, w := c.round(x)
					b = append(b, binary.LittleEndian.AppendUint64(nil, bits)[:w]...)
					v = append(v, c.value(bits))
				}
				return m.put(b), v
			}
			pa, a := operand(16 * 16)
			pb, b := operand(8 * 16)
			sum := randoms(r, 16*8)
			pc := m.put(floatBytes(sum))
			require.NoError(t, m.s.Launch(m.function(ptx, c.kernel), line(1), line(32), 0, args(uint64(pa), uint64(pb), uint64(pc))))
			got := floatsOf(m.get(pc, 4*16*8))
			for i := range 16 {
				for j := range 8 {
					want := float64(sum[i*8+j])
					for k := range 16 {
						want += a[i*16+k] * b[j*16+k]
					}
					require.InDelta(t, want, got[i*8+j], 1e-5, "%d %d", i, j)
				}
			}
			// A partial warp may not execute it.
			require.NoError(t, m.s.Launch(m.function(ptx, c.kernel), line(1), line(31), 0, args(uint64(pa), uint64(pb), uint64(pc))))
			var e *driver.Error
			require.ErrorAs(t, m.s.Synchronize(), &e)
		})
	}
}

// TestMathematics: functions of CUDA's library, with their slow ways, tables,
// local memory and calls, are near those of Go.
func TestMathematics(t *testing.T) {
	m := open(t, emulator.Options{})
	f := m.function(fixture(t, "matrix"), "mathematics")
	xs := []float32{0.001, 0.1, 0.5, 0.7, 1, 1.5, 2, 3, 3.14159, 5, 10, 40, 88}
	big := append(append([]float32{}, xs...), 1e5, 12345678, 1e20, 3e38)
	for i, c := range []struct {
		name string
		in   []float32
		want func(x float64) float64
	}{
		{"sinf", big, math.Sin},
		{"cosf", big, math.Cos},
		{"expf", xs, math.Exp},
		{"logf", big, math.Log},
		{"tanhf", big, math.Tanh},
		{"erff", xs, math.Erf},
		{"powf", xs, func(x float64) float64 { return math.Pow(x, float64(float32(1.7))) }},
		{"exp", xs, math.Exp},
		{"log", big, math.Log},
		{"sin", big, math.Sin},
		{"1/x", xs, func(x float64) float64 { return 1 / x }},
		{"sqrt", big, math.Sqrt},
		{"calls", xs, func(x float64) float64 { return 4 * x }},
		{"rsqrtf", big, func(x float64) float64 { return 1 / math.Sqrt(x) }},
		{"fmodf", xs, func(x float64) float64 { return math.Mod(x, float64(float32(0.3))) }},
		{"pow", xs, func(x float64) float64 { return math.Pow(x, 1.7) }},
	} {
		n := len(c.in)
		x, y := m.put(floatBytes(c.in)), m.alloc(4*n)
		require.NoError(t, m.s.Launch(f, line(1), line(64), 0, args(uint64(x), uint64(y), dims(n, i))))
		for j, got := range floatsOf(m.get(y, 4*n)) {
			want := c.want(float64(c.in[j]))
			require.InDelta(t, want, got, 1e-6*math.Max(1, math.Abs(want)), "%s(%v)", c.name, c.in[j])
		}
	}
}
