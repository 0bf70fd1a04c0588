package randomweights

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/safetensors"
)

func TestHalfPrecisionRounding(t *testing.T) {
	for _, c := range []struct {
		x    float32
		f16  uint16
		bf16 uint16
	}{
		{0, 0, 0},
		{1, 0x3c00, 0x3f80},
		{-2, 0xc000, 0xc000},
		{0.1, 0x2e66, 0x3dcd},
		{1 + 1.0/2048, 0x3c00, 0x3f80},       // a tie, to even
		{1 + 3.0/2048, 0x3c02, 0x3f80},       // a tie, to even
		{1.99999, 0x4000, 0x4000},            // carries into the exponent
		{6.103515625e-05, 0x0400, 0x3880},    // the least normal float16
		{5.9604644775390625e-08, 1, 0x3380},  // the least subnormal
		{2.98023223876953125e-08, 0, 0x3300}, // half of it: a tie, to even
		{1e-10, 0, 0x2edc},
		{-1e-10, 0x8000, 0xaedc},
		{6.1e-05, 0x03ff, 0x3880},
	} {
		assert.Equal(t, c.f16, float16Bits(c.x), "float16 of %v", c.x)
		assert.Equal(t, c.bf16, bfloat16Bits(c.x), "bfloat16 of %v", c.x)
	}
}

func BenchmarkNoise(b *testing.B) {
	n := newNoise(1, Spec{Name: "transformer.wte.weight", Std: 0.02})
	buf := make([]byte, 0, 4*chunkElements)
	b.Run(benchname.Of("random-weights", "genie"), func(b *testing.B) {
		b.SetBytes(4 * chunkElements)
		b.ReportAllocs()
		for b.Loop() {
			buf = n.fill(buf[:0], safetensors.F32, 0, chunkElements)
		}
	})
}
