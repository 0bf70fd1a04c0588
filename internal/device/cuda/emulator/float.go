package emulator

import (
	"math"
	"math/big"
)

// rounding is how a result that is no float is rounded.
type rounding uint8

const (
	nearest rounding = iota
	toZero
	down
	up
)

func roundingOf(s *statement) rounding {
	switch {
	case s.has("rz"):
		return toZero
	case s.has("rm"):
		return down
	case s.has("rp"):
		return up
	}
	return nearest
}

// nan32 and nan64 are the NaNs that arithmetic gives.
const (
	nan32 = 0x7fffffff
	nan64 = 0x7fffffffffffffff
)

// bits32of is a float's bits, with the NaN of a GPU.
func bits32of(x float32) uint32 {
	if x != x {
		return nan32
	}
	return math.Float32bits(x)
}

func bits64of(x float64) uint64 {
	if x != x {
		return nan64
	}
	return math.Float64bits(x)
}

// flush makes a subnormal zero, with its sign.
func flush(x uint32) uint32 {
	if x&0x7f800000 == 0 {
		return x & 0x80000000
	}
	return x
}

// odd is a+b rounded to odd: the last bit is set if the sum is not exact. A
// float32 of it is rounded once.
func odd(a, b float64) float64 {
	s := a + b
	if s != s || math.IsInf(s, 0) {
		return s
	}
	t := s - a
	e := float64(a-float64(s-t)) + float64(b-t)
	if e == 0 || math.Float64bits(s)&1 != 0 {
		return s
	}
	if e > 0 == (s > 0) {
		return math.Float64frombits(math.Float64bits(s) + 1)
	}
	return math.Float64frombits(math.Float64bits(s) - 1)
}

// fma32 is a*b+c, rounded once, to nearest.
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b) // exact
	s := p + float64(c)
	r := float32(s)
	// The rounding of s, to 53 bits, matters only where s is halfway between two
	// float32s, or where those are subnormal.
	if x := math.Float64bits(s); x&(1<<29-1) != 1<<28 && x<<1 >= least<<1 || x<<1 == 0 {
		return r
	}
	return float32(odd(p, float64(c)))
}

// round32 rounds a float64, whose last bit tells if it is exact, to a float32.
func round32(x float64, r rounding) float32 {
	y := float32(x)
	if r == nearest || x != x || math.IsInf(x, 0) || float64(y) == x {
		return y
	}
	above := float64(y) > x
	switch {
	case above && (r == down || r == toZero && x > 0):
		return math.Nextafter32(y, float32(math.Inf(-1)))
	case !above && (r == up || r == toZero && x < 0):
		return math.Nextafter32(y, float32(math.Inf(1)))
	}
	return y
}

// zeroSum is the sum of numbers whose sum is zero, for which rounding decides
// the sign.
func zeroSum(a, b, s float64, r rounding) float64 {
	if s == 0 && r == down && (a != 0 || math.Signbit(a) != math.Signbit(b)) {
		return math.Copysign(0, -1)
	}
	return s
}

func add32(a, b float32, r rounding) float32 {
	if r == nearest {
		return a + b
	}
	return round32(zeroSum(float64(a), float64(b), odd(float64(a), float64(b)), r), r)
}

func mul32(a, b float32, r rounding) float32 {
	if r == nearest {
		return a * b
	}
	return round32(float64(a)*float64(b), r)
}

func fma32by(a, b, c float32, r rounding) float32 {
	if r == nearest {
		return fma32(a, b, c)
	}
	p := float64(a) * float64(b)
	return round32(zeroSum(p, float64(c), odd(p, float64(c)), r), r)
}

// adjust moves a float64 that was rounded to nearest to where another rounding
// puts it, given the sign of the exact value less it.
func adjust(x, rest float64, r rounding) float64 {
	switch {
	case r == nearest || rest == 0 || rest != rest:
	case math.IsInf(x, 0):
		if x > 0 && r != up {
			return math.MaxFloat64
		}
		if x < 0 && r != down {
			return -math.MaxFloat64
		}
	case rest < 0 && (r == down || r == toZero && x > 0):
		return math.Nextafter(x, math.Inf(-1))
	case rest > 0 && (r == up || r == toZero && x < 0):
		return math.Nextafter(x, math.Inf(1))
	}
	return x
}

func add64(a, b float64, r rounding) float64 {
	s := a + b
	if r == nearest {
		return s
	}
	if math.IsInf(s, 0) {
		if math.IsInf(a, 0) || math.IsInf(b, 0) {
			return s
		}
		return adjust(s, -s, r)
	}
	t := s - a
	return adjust(zeroSum(a, b, s, r), float64(a-float64(s-t))+float64(b-t), r)
}

// directed rounds an exact number, or one with far more bits than a float64,
// whose sign as a zero is negative.
func directed(x *big.Float, r rounding, negative bool) float64 {
	y, accuracy := x.Float64()
	y = adjust(y, -float64(accuracy), r)
	if y == 0 && negative {
		return math.Copysign(0, -1)
	}
	return y
}

func mul64(a, b float64, r rounding) float64 {
	p := a * b
	if r == nearest || p != p || math.IsInf(a, 0) || math.IsInf(b, 0) {
		return p
	}
	const exact = 128
	x := new(big.Float).SetPrec(exact).SetFloat64(a)
	return directed(x.Mul(x, new(big.Float).SetFloat64(b)), r, math.Signbit(p))
}

func div64(a, b float64, r rounding) float64 {
	q := a / b
	if r == nearest || q != q || math.IsInf(a, 0) || math.IsInf(b, 0) || b == 0 {
		return q
	}
	const far = 256
	x := new(big.Float).SetPrec(far).SetFloat64(a)
	return directed(x.Quo(x, new(big.Float).SetFloat64(b)), r, math.Signbit(q))
}

func sqrt64(a float64, r rounding) float64 {
	q := math.Sqrt(a)
	if r == nearest || q != q || math.IsInf(q, 0) {
		return q
	}
	return adjust(q, math.FMA(-q, q, a), r)
}

func div32(a, b float32, r rounding) float32 {
	if r == nearest || b == 0 {
		return a / b
	}
	// The quotient of two float32s is a float32, or far from one in 53 bits.
	return round32(float64(a)/float64(b), r)
}

func sqrt32(a float32, r rounding) float32 { return round32(math.Sqrt(float64(a)), r) }

// min32 and the others give the other operand where one is a NaN, and hold -0
// below +0.
func min32(a, b uint32) uint32 {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	return either(x != x, y != y, a, b, nan32, x < y || x == y && a>>31 == 1)
}

func max32(a, b uint32) uint32 {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	return either(x != x, y != y, a, b, nan32, x > y || x == y && a>>31 == 0)
}

func min64(a, b uint64) uint64 {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	return either(x != x, y != y, a, b, nan64, x < y || x == y && a>>63 == 1)
}

func max64(a, b uint64) uint64 {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	return either(x != x, y != y, a, b, nan64, x > y || x == y && a>>63 == 0)
}

// either is a, or b where first does not say so; where one of them is a NaN, the
// other, and nan where both are.
func either[B uint32 | uint64](aNaN, bNaN bool, a, b, nan B, first bool) B {
	switch {
	case aNaN && bNaN:
		return nan
	case aNaN:
		return b
	case bNaN || first:
		return a
	}
	return b
}
