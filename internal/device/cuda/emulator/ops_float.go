package emulator

import (
	"math"
	"math/bits"
)

// float32Binary is an instruction of two float32s, or nil.
func float32Binary(s *statement) execute {
	r := roundingOf(s)
	op := s.op[0]
	if r == nearest && !s.has("ftz") && !s.has("sat") {
		switch op {
		case "add":
			return addFloat32
		case "mul":
			return mulFloat32
		case "sub":
			return subFloat32
		}
	}
	var f func(a, b uint32) uint32
	of := math.Float32frombits
	switch op {
	case "add":
		f = func(a, b uint32) uint32 { return bits32of(add32(of(a), of(b), r)) }
	case "sub":
		f = func(a, b uint32) uint32 { return bits32of(add32(of(a), -of(b), r)) }
	case "mul":
		f = func(a, b uint32) uint32 { return bits32of(mul32(of(a), of(b), r)) }
	case "div":
		f = func(a, b uint32) uint32 { return bits32of(div32(of(a), of(b), r)) }
	case "min", "max":
		f = map[string]func(a, b uint32) uint32{"min": min32, "max": max32}[op]
		if s.has("NaN") {
			inner := f
			f = func(a, b uint32) uint32 {
				if of(a) != of(a) || of(b) != of(b) {
					return nan32
				}
				return inner(a, b)
			}
		}
	case "copysign":
		return binary32(func(a, b uint32) uint32 { return a&0x80000000 | b&0x7fffffff })
	default:
		return nil
	}
	return binary32(modified2(s, f))
}

// modified2 adds .ftz and .sat to a function.
func modified2(s *statement, f func(a, b uint32) uint32) func(a, b uint32) uint32 {
	ftz, sat := s.has("ftz"), s.has("sat")
	switch {
	case !ftz && !sat:
		return f
	case !sat:
		return func(a, b uint32) uint32 { return flush(f(flush(a), flush(b))) }
	case !ftz:
		return func(a, b uint32) uint32 { return saturate(f(a, b)) }
	}
	return func(a, b uint32) uint32 { return saturate(flush(f(flush(a), flush(b)))) }
}

// saturate clamps to [0, 1]; a NaN is 0.
func saturate(x uint32) uint32 {
	switch f := math.Float32frombits(x); {
	case !(f > 0):
		return 0
	case f > 1:
		return math.Float32bits(1)
	}
	return x
}

func float32Unary(s *statement) execute {
	var f func(a float32) float32
	r := roundingOf(s)
	double := func(g func(float64) float64) func(a float32) float32 {
		return func(a float32) float32 { return float32(g(float64(a))) }
	}
	switch s.op[0] {
	case "neg":
		if !s.has("ftz") {
			return unary32(func(a uint32) uint32 { return a ^ 0x80000000 })
		}
		return unary32(func(a uint32) uint32 { return flush(a) ^ 0x80000000 })
	case "abs":
		if !s.has("ftz") {
			return unary32(func(a uint32) uint32 { return a & 0x7fffffff })
		}
		return unary32(func(a uint32) uint32 { return flush(a) & 0x7fffffff })
	case "rcp":
		f = func(a float32) float32 { return div32(1, a, r) }
	case "sqrt":
		f = func(a float32) float32 { return sqrt32(a, r) }
	case "rsqrt":
		f = double(func(a float64) float64 { return 1 / math.Sqrt(a) })
	case "sin":
		f = double(math.Sin)
	case "cos":
		f = double(math.Cos)
	case "lg2":
		f = double(math.Log2)
	case "ex2":
		f = double(math.Exp2)
	case "tanh":
		f = double(math.Tanh)
	default:
		return nil
	}
	if s.has("ftz") {
		return unary32(func(a uint32) uint32 { return flush(bits32of(f(math.Float32frombits(flush(a))))) })
	}
	return unary32(func(a uint32) uint32 { return bits32of(f(math.Float32frombits(a))) })
}

func float64Binary(s *statement) execute {
	r := roundingOf(s)
	of := math.Float64frombits
	switch s.op[0] {
	case "add":
		return binary64(func(a, b uint64) uint64 { return bits64of(add64(of(a), of(b), r)) })
	case "sub":
		return binary64(func(a, b uint64) uint64 { return bits64of(add64(of(a), -of(b), r)) })
	case "mul":
		return binary64(func(a, b uint64) uint64 { return bits64of(mul64(of(a), of(b), r)) })
	case "div":
		return binary64(func(a, b uint64) uint64 { return bits64of(div64(of(a), of(b), r)) })
	case "min":
		return binary64(min64)
	case "max":
		return binary64(max64)
	case "copysign":
		return binary64(func(a, b uint64) uint64 { return a&(1<<63) | b&^(1<<63) })
	}
	return nil
}

func float64Unary(s *statement) execute {
	r := roundingOf(s)
	of := math.Float64frombits
	switch s.op[0] {
	case "neg":
		return unary64(func(a uint64) uint64 { return a ^ 1<<63 })
	case "abs":
		return unary64(func(a uint64) uint64 { return a &^ (1 << 63) })
	case "rcp":
		if s.has("approx") {
			// The result has the high word alone, as that of a GPU has.
			return unary64(func(a uint64) uint64 { return bits64of(1/of(a)) &^ (1<<32 - 1) })
		}
		return unary64(func(a uint64) uint64 { return bits64of(div64(1, of(a), r)) })
	case "rsqrt":
		return unary64(func(a uint64) uint64 { return bits64of(1/math.Sqrt(of(a))) &^ (1<<32 - 1) })
	case "sqrt":
		return unary64(func(a uint64) uint64 { return bits64of(sqrt64(of(a), r)) })
	}
	return nil
}

// fusedMultiplyAdd is fma, or mad of floats.
func fusedMultiplyAdd(s *statement, k kind) execute {
	r := roundingOf(s)
	switch {
	case k == f64 && r == nearest:
		return ternary64(func(a, b, c uint64) uint64 {
			return bits64of(math.FMA(math.Float64frombits(a), math.Float64frombits(b), math.Float64frombits(c)))
		})
	case k != f32:
		return halfFMA(s, k)
	case r == nearest && !s.has("ftz") && !s.has("sat"):
		return fmaFloat32
	}
	of := math.Float32frombits
	f := func(a, b, c uint32) uint32 { return bits32of(fma32by(of(a), of(b), of(c), r)) }
	ftz, sat := s.has("ftz"), s.has("sat")
	return ternary32(func(a, b, c uint32) uint32 {
		if ftz {
			a, b, c = flush(a), flush(b), flush(c)
		}
		x := f(a, b, c)
		if ftz {
			x = flush(x)
		}
		if sat {
			x = saturate(x)
		}
		return x
	})
}

// The bits of the least normal float32 as a float64, and of infinity.
const (
	least    = 0x3810000000000000
	infinite = 0x7ff0000000000000
)

func fmaFloat32(w *warp, in *instruction, mask uint32) {
	d, a, b, c := &w.r32[in.d], &w.r32[in.a], &w.r32[in.b], &w.r32[in.c]
	of := math.Float32frombits
	if mask == full {
		for i := range d {
			p := float64(of(a[i])) * float64(of(b[i]))
			s := p + float64(of(c[i]))
			// See fma32: neither a tie, nor subnormal, nor a NaN.
			if x := math.Float64bits(s); x&(1<<29-1) != 1<<28 && x<<1-least<<1 < (infinite-least)<<1 || x<<1 == 0 {
				d[i] = math.Float32bits(float32(s))
			} else {
				d[i] = bits32of(fma32(of(a[i]), of(b[i]), of(c[i])))
			}
		}
		return
	}
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = bits32of(fma32(of(a[i]), of(b[i]), of(c[i])))
	}
}

func addFloat32(w *warp, in *instruction, mask uint32) {
	d, a, b := &w.r32[in.d], &w.r32[in.a], &w.r32[in.b]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = bits32of(math.Float32frombits(a[i]) + math.Float32frombits(b[i]))
	}
}

func subFloat32(w *warp, in *instruction, mask uint32) {
	d, a, b := &w.r32[in.d], &w.r32[in.a], &w.r32[in.b]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = bits32of(math.Float32frombits(a[i]) - math.Float32frombits(b[i]))
	}
}

func mulFloat32(w *warp, in *instruction, mask uint32) {
	d, a, b := &w.r32[in.d], &w.r32[in.a], &w.r32[in.b]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = bits32of(math.Float32frombits(a[i]) * math.Float32frombits(b[i]))
	}
}
