package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func allHalves() []uint16 {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	return all
}

// f16Value computes the value from the definition.
func f16Value(h uint16) float64 {
	exp, frac := int(h>>10&0x1f), float64(h&0x3ff)
	v := math.Ldexp(1024+frac, exp-25)
	switch {
	case exp == 0:
		v = math.Ldexp(frac, -24)
	case exp == 31 && frac == 0:
		v = math.Inf(1)
	case exp == 31:
		v = math.NaN()
	}
	if h&0x8000 != 0 {
		return -v
	}
	return v
}

func TestF16(t *testing.T) {
	all := allHalves()
	want := make([]float32, len(all))
	for i, h := range all {
		want[i] = math.Float32frombits(f16Bits(h))
		if v := f16Value(h); v == v {
			require.Equal(t, math.Float64bits(v), math.Float64bits(float64(want[i])), "%#x", h)
		} else {
			require.True(t, math.IsNaN(float64(want[i])), "%#x", h)
		}
	}
	eachPath(t, func(t *testing.T) {
		got, back := make([]float32, len(all)), make([]uint16, len(all))
		F16ToF32(got, all)
		F32ToF16(back, got)
		for i, h := range all {
			require.Equal(t, math.Float32bits(want[i]), math.Float32bits(got[i]), "%#x", h)
			if f16Value(h) != f16Value(h) {
				h |= 0x200 // quiet
			}
			require.Equal(t, h, back[i])
		}
	})
}

func TestBF16(t *testing.T) {
	all := allHalves()
	eachPath(t, func(t *testing.T) {
		got, back := make([]float32, len(all)), make([]uint16, len(all))
		BF16ToF32(got, all)
		F32ToBF16(back, got)
		for i, h := range all {
			require.Equal(t, uint32(h)<<16, math.Float32bits(got[i]), "%#x", h)
			if h&0x7fff > 0x7f80 {
				h |= 0x40
			}
			require.Equal(t, h, back[i])
		}
	})
}

// Rounding is checked between every two neighbours: just below, at and just
// above the middle, and against all other paths on random bits.
func TestHalfFloatRounding(t *testing.T) {
	var src []float32
	var wantF16 []uint16
	for h := range uint16(0x7c00) {
		lo, hi := f16Value(h), f16Value(h+1)
		if h == 0x7bff {
			hi = 65536
		}
		middle := float32((lo + hi) / 2)
		even := h + h&1
		src = append(src, math.Nextafter32(middle, 0), middle, math.Nextafter32(middle, 1e9))
		wantF16 = append(wantF16, h, even, h+1)
	}
	var srcBF []float32
	var wantBF16 []uint16
	for h := range uint16(0x7f80) {
		bits := uint32(h)<<16 | 0x8000
		srcBF = append(srcBF, math.Float32frombits(bits-1), math.Float32frombits(bits), math.Float32frombits(bits+1))
		wantBF16 = append(wantBF16, h, h+h&1, h+1)
	}
	rng := rand.New(rand.NewPCG(19, 20))
	random := make([]float32, 1<<16+7)
	for i := range random {
		random[i] = math.Float32frombits(rng.Uint32())
	}
	was := active
	active = pathGeneric
	randomF16, randomBF16 := make([]uint16, len(random)), make([]uint16, len(random))
	F32ToF16(randomF16, random)
	F32ToBF16(randomBF16, random)
	active = was
	eachPath(t, func(t *testing.T) {
		got := make([]uint16, len(src))
		F32ToF16(got, src)
		require.Equal(t, wantF16, got)
		got = make([]uint16, len(srcBF))
		F32ToBF16(got, srcBF)
		require.Equal(t, wantBF16, got)
		got = make([]uint16, len(random))
		F32ToF16(got, random)
		require.Equal(t, randomF16, got)
		F32ToBF16(got, random)
		require.Equal(t, randomBF16, got)
		for n := range 40 {
			out, half := filled(n, guard), make([]uint16, n)
			F32ToF16(half, random[:n])
			require.Equal(t, randomF16[:n], half)
			F16ToF32(out, half)
			BF16ToF32(out, half)
		}
	})
}
