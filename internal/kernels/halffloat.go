package kernels

import "math"

// F16ToF32 converts IEEE 754 binary16 to float32, exactly. A signalling NaN
// becomes quiet; NaN payloads are preserved.
func F16ToF32(dst []float32, src []uint16) {
	needSame("F16ToF32", len(dst), len(src))
	done := f16ToF32Arch(dst, src)
	dst, src = dst[done:], src[done:]
	for i, h := range src {
		dst[i] = math.Float32frombits(f16Bits(h))
	}
}

func f16Bits(h uint16) uint32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10)&0x1f, uint32(h&0x3ff)
	switch {
	case exp == 0x1f && frac != 0:
		return sign | 0x7fc00000 | frac<<13
	case exp == 0x1f:
		return sign | 0x7f800000
	case exp == 0:
		// Subnormal: frac * 2^-24, exact in float32.
		return sign | math.Float32bits(float32(frac)*0x1p-24)
	}
	return sign | (exp+112)<<23 | frac<<13
}

// F32ToF16 converts to binary16, rounding to nearest, ties to even;
// out-of-range values become infinite, small ones subnormal or zero, NaN a
// quiet NaN.
func F32ToF16(dst []uint16, src []float32) {
	needSame("F32ToF16", len(dst), len(src))
	done := f32ToF16Arch(dst, src)
	dst, src = dst[done:], src[done:]
	for i, x := range src {
		dst[i] = f16FromBits(math.Float32bits(x))
	}
}

func f16FromBits(b uint32) uint16 {
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00 | uint16(b>>13&0x3ff)
	case b >= 0x477ff000: // 65520, halfway between the greatest binary16 and 2^16
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: subnormal
		// Adding 0.5, whose last place is 2^-24, makes the hardware round to a
		// multiple of 2^-24, the unit of subnormals.
		r := math.Float32frombits(b) + 0.5
		return sign | uint16(math.Float32bits(r)-math.Float32bits(0.5))
	}
	// The exponent changes bias from 127 to 15; a carry out of the fraction
	// correctly increments it.
	return sign | uint16((b+0xfff+(b>>13&1)-112<<23)>>13)
}

// BF16ToF32 converts bfloat16 to float32, exactly, NaN bits included.
func BF16ToF32(dst []float32, src []uint16) {
	needSame("BF16ToF32", len(dst), len(src))
	done := bf16ToF32Arch(dst, src)
	dst, src = dst[done:], src[done:]
	for i, h := range src {
		dst[i] = math.Float32frombits(uint32(h) << 16)
	}
}

// F32ToBF16 converts to bfloat16, rounding to nearest, ties to even. NaN
// becomes a quiet NaN with the upper bits of its payload.
func F32ToBF16(dst []uint16, src []float32) {
	needSame("F32ToBF16", len(dst), len(src))
	done := f32ToBF16Arch(dst, src)
	dst, src = dst[done:], src[done:]
	for i, x := range src {
		b := math.Float32bits(x)
		if b&0x7fffffff > 0x7f800000 {
			dst[i] = uint16(b>>16) | 0x40
			continue
		}
		dst[i] = uint16((b + 0x7fff + b>>16&1) >> 16)
	}
}
