package randomweights

import (
	"encoding/binary"
	"math"

	"github.com/genie-sdk/go/internal/safetensors"
)

// noise generates the random numbers of one tensor. Number i depends on the
// seed, the tensor's name and i alone, so any goroutine can generate any part.
type noise struct {
	key  uint64
	mean float32
	step float32 // std of the tensor over std of the integer sum
}

// Constants of splitmix64 (Steele, Lea and Flood 2014). The generator is its
// output function over a counter.
const (
	splitmixGamma = 0x9e3779b97f4a7c15
	splitmixMul1  = 0xbf58476d1ce4e5b9
	splitmixMul2  = 0x94d049bb133111eb
)

const (
	lanes    = 4                   // 16-bit numbers in a 64-bit one
	laneMax  = 1<<16 - 1           // each uniform over 0..laneMax
	sumMean  = lanes * laneMax / 2 // of the sum of the lanes: an integer
	sumStd   = 37837.22723720648   // sqrt(lanes * (2^32-1) / 12)
	fnvBasis = 0xcbf29ce484222325  // FNV-1a, 64 bit
	fnvPrime = 0x00000100000001b3
)

func newNoise(seed uint64, s Spec) noise {
	h := uint64(fnvBasis)
	for i := range len(s.Name) {
		h = (h ^ uint64(s.Name[i])) * fnvPrime
	}
	return noise{
		key:  mix(mix(seed+splitmixGamma) ^ h),
		mean: float32(s.Mean),
		step: float32(s.Std / sumStd),
	}
}

// mix is the output function of splitmix64, a bijection.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * splitmixMul1
	z = (z ^ z>>27) * splitmixMul2
	return z ^ z>>31
}

// at returns number i: mean + std*g, with g close to Gaussian. It is the sum of
// four uniform integers (Irwin-Hall), which is bounded by 3.46 standard
// deviations. The sum is exact in float32 and one product scales it. The
// conversion around the product prevents fusing it with the addition, so that
// every architecture rounds twice and gets the same bits.
func (n noise) at(i int64) float32 {
	z := mix(n.key + (uint64(i)+1)*splitmixGamma)
	sum := int32(z&laneMax) + int32(z>>16&laneMax) + int32(z>>32&laneMax) + int32(z>>48)
	return n.mean + float32(float32(sum-sumMean)*n.step)
}

// fill appends numbers from..from+count to buf in the given dtype. In an I64
// tensor every element is the mean, a whole number.
func (n noise) fill(buf []byte, dtype safetensors.DType, from, count int64) []byte {
	switch dtype {
	case safetensors.I64:
		for range count {
			buf = binary.LittleEndian.AppendUint64(buf, uint64(int64(n.mean)))
		}
	case safetensors.F16:
		for i := from; i < from+count; i++ {
			buf = binary.LittleEndian.AppendUint16(buf, float16Bits(n.at(i)))
		}
	case safetensors.BF16:
		for i := from; i < from+count; i++ {
			buf = binary.LittleEndian.AppendUint16(buf, bfloat16Bits(n.at(i)))
		}
	default:
		for i := from; i < from+count; i++ {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(n.at(i)))
		}
	}
	return buf
}

// bfloat16Bits rounds a finite number to nearest even.
func bfloat16Bits(x float32) uint16 {
	b := math.Float32bits(x)
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// float16Bits rounds a number below 65504 in magnitude to nearest even, by
// integer arithmetic: the engine's conversion may use a CPU instruction, and a
// checkpoint's bytes must not depend on that.
func float16Bits(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	exponent := int(b>>23&0xff) - 127 + 15
	mantissa := b&0x7fffff | 0x800000
	drop := 13 // bits of the mantissa that do not fit
	if exponent <= 0 {
		drop += 1 - exponent // subnormal
		exponent = 0
		if drop > 24 {
			return sign
		}
	} else {
		mantissa &= 0x7fffff
	}
	kept := mantissa >> drop
	rest, half := mantissa&(1<<drop-1), uint32(1)<<(drop-1)
	if rest > half || rest == half && kept&1 == 1 {
		kept++ // a carry into the exponent is correct
	}
	return sign | uint16(uint32(exponent)<<10+kept)
}
