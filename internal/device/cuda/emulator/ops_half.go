package emulator

import "math"

// bfloat16 is x as a bfloat16.
func bfloat16(x float32, r rounding) uint32 {
	b := math.Float32bits(x)
	switch {
	case x != x:
		return 0x7fff
	case b&0xffff == 0 || r == toZero:
	case r == nearest:
		b += 0x7fff + b>>16&1
	case r == up && b>>31 == 0 || r == down && b>>31 == 1:
		b += 0xffff
	}
	return b >> 16
}

func fromBfloat16(x uint32) float32 { return math.Float32frombits(x << 16) }

// float16 is x as a float16.
func float16(x float64, r rounding) uint32 {
	b := math.Float64bits(x)
	sign := uint32(b >> 48 & 0x8000)
	if x != x {
		return 0x7fff
	}
	if math.IsInf(x, 0) {
		return sign | 0x7c00
	}
	exponent := max(int(b>>52&0x7ff)-1023, -14)
	unit := math.Ldexp(1, exponent-10)
	n := math.Abs(x) / unit // exact
	switch m := math.Floor(n); {
	case m == n || r == toZero:
		n = m
	case r == nearest:
		n = math.RoundToEven(n)
	case r == up && sign == 0 || r == down && sign != 0:
		n = m + 1
	default:
		n = m
	}
	// n is below 2048, or 2048 itself: then the sum carries into the exponent.
	h := uint32(n)
	if n >= 1024 {
		h = uint32(exponent+15)<<10 + uint32(n) - 1024
	}
	if h >= 0x7c00 {
		h = 0x7c00
		if r == toZero || r == up && sign != 0 || r == down && sign == 0 {
			h = 0x7bff
		}
	}
	return sign | h
}

func fromFloat16(x uint32) float32 {
	sign, exponent, m := x>>15&1, x>>10&31, x&0x3ff
	var f float64
	switch exponent {
	case 31:
		if m != 0 {
			return math.Float32frombits(nan32)
		}
		f = math.Inf(1)
	case 0:
		f = math.Ldexp(float64(m), -24)
	default:
		f = math.Ldexp(float64(m+1024), int(exponent)-25)
	}
	if sign != 0 {
		f = -f
	}
	return float32(f)
}

// half converts between a 16-bit type and float32.
type half struct {
	from func(x uint32) float32
	to   func(x float32) uint32
}

func halfOf(k kind) half {
	if k == bf16 || k == bf16x2 {
		return half{fromBfloat16, func(x float32) uint32 { return bfloat16(x, nearest) }}
	}
	return half{fromFloat16, func(x float32) uint32 { return float16(float64(x), nearest) }}
}

// pairs applies a function to each half of a packed register.
func (k kind) pairs() bool { return k == f16x2 || k == bf16x2 }

func halfBinary(s *statement, k kind) execute {
	h := halfOf(k)
	var f func(a, b float32) float32
	switch s.op[0] {
	case "add":
		f = func(a, b float32) float32 { return a + b }
	case "sub":
		f = func(a, b float32) float32 { return a - b }
	case "mul":
		f = func(a, b float32) float32 { return a * b }
	case "min":
		f = func(a, b float32) float32 {
			return math.Float32frombits(min32(math.Float32bits(a), math.Float32bits(b)))
		}
	case "max":
		f = func(a, b float32) float32 {
			return math.Float32frombits(max32(math.Float32bits(a), math.Float32bits(b)))
		}
	}
	if f == nil || s.has("ftz") || s.has("sat") || s.has("NaN") {
		return nil
	}
	one := func(a, b uint32) uint32 { return h.to(f(h.from(a&0xffff), h.from(b&0xffff))) }
	if !k.pairs() {
		return binary32(one)
	}
	return binary32(func(a, b uint32) uint32 { return one(a, b) | one(a>>16, b>>16)<<16 })
}

func halfUnary(s *statement, k kind) execute {
	m := uint32(0x8000)
	if k.pairs() {
		m = 0x80008000
	}
	switch s.op[0] {
	case "neg":
		return unary32(func(a uint32) uint32 { return a ^ m })
	case "abs":
		return unary32(func(a uint32) uint32 { return a &^ m })
	}
	return nil
}

// halfFMA is fma of 16-bit types: exact in float64, then rounded once.
func halfFMA(s *statement, k kind) execute {
	if k != f16 && k != bf16 && !k.pairs() || s.has("ftz") || s.has("sat") || s.has("relu") {
		return nil
	}
	h := halfOf(k)
	brain := k == bf16 || k == bf16x2
	one := func(a, b, c uint32) uint32 {
		x := odd(float64(h.from(a&0xffff))*float64(h.from(b&0xffff)), float64(h.from(c&0xffff)))
		if brain {
			return bfloat16(oddFloat32(x), nearest)
		}
		return float16(x, nearest)
	}
	if !k.pairs() {
		return ternary32(one)
	}
	return ternary32(func(a, b, c uint32) uint32 { return one(a, b, c) | one(a>>16, b>>16, c>>16)<<16 })
}

// oddFloat32 rounds to odd, so that a second rounding gives what one would.
func oddFloat32(x float64) float32 {
	y := round32(x, toZero)
	if float64(y) != x && !math.IsInf(x, 0) {
		return math.Float32frombits(math.Float32bits(y) | 1)
	}
	return y
}
