package kernels

import "math"

// GeluTanh writes the tanh form of GELU, 0.5*x*(1 + tanh(u)) with
// u = sqrt(2/pi)*(x + 0.044715*x^3), to dst. It is computed as x/(1+exp(-2u)),
// the same function without the cancellation at negative x (Hendrycks and
// Gimpel, arXiv:1606.08415).
//
// The error is at most 3 units in the last place for x >= -1, and at most 1e-7
// below, where results that are not normal numbers may be -0. GeluTanh(NaN) and
// GeluTanh(-Inf) are NaN, as in PyTorch, GeluTanh(Inf) is Inf, GeluTanh(-0) is
// -0.
func GeluTanh(dst, src []float32) {
	needSame("GeluTanh", len(dst), len(src))
	if unaryArch(opGeluTanh, dst, src) {
		return
	}
	for i, v := range src {
		x := float64(v)
		u := math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x)
		dst[i] = float32(x / (1 + math.Exp(-2*u)))
	}
}

// GeluErf writes the exact GELU, 0.5*x*(1 + erf(x/sqrt(2))), to dst.
//
// The error is at most 8 units in the last place for x >= -1, and at most 1e-7
// below, where results that are not normal numbers may be -0. NaN, infinities and
// -0 are as in [GeluTanh].
func GeluErf(dst, src []float32) {
	needSame("GeluErf", len(dst), len(src))
	if unaryArch(opGeluErf, dst, src) {
		return
	}
	for i, v := range src {
		x := float64(v)
		dst[i] = float32(0.5 * x * math.Erfc(-x/math.Sqrt2))
	}
}

// QuickGelu writes x*sigmoid(1.702*x) to dst (Hendrycks and Gimpel,
// arXiv:1606.08415, section 2).
//
// The error is at most 4 units in the last place for x >= -1, and at most 1e-7
// below, where results that are not normal numbers may be -0. NaN, infinities and
// -0 are as in [GeluTanh].
func QuickGelu(dst, src []float32) {
	needSame("QuickGelu", len(dst), len(src))
	if unaryArch(opQuickGelu, dst, src) {
		return
	}
	for i, v := range src {
		x := float64(v)
		dst[i] = float32(x / (1 + math.Exp(-1.702*x)))
	}
}

// Relu writes x where x > 0 or x is NaN, else 0, to dst; -0 stays -0.
func Relu(dst, src []float32) {
	needSame("Relu", len(dst), len(src))
	if unaryArch(opRelu, dst, src) {
		return
	}
	for i, x := range src {
		if x < 0 {
			x = 0
		}
		dst[i] = x
	}
}

// Tanh writes the hyperbolic tangent to dst. The error is at most 2 units in the
// last place. Tanh(NaN) is NaN, of infinities it is 1 and -1, Tanh(-0) is -0.
func Tanh(dst, src []float32) {
	needSame("Tanh", len(dst), len(src))
	if unaryArch(opTanh, dst, src) {
		return
	}
	for i, x := range src {
		dst[i] = float32(math.Tanh(float64(x)))
	}
}

// Exp writes e^x to dst. The error is at most one unit in the last place,
// subnormal results included. Results that overflow are Inf, those that
// underflow 0; Exp(NaN) is NaN, Exp(0) is 1.
func Exp(dst, src []float32) {
	needSame("Exp", len(dst), len(src))
	if unaryArch(opExp, dst, src) {
		return
	}
	for i, x := range src {
		dst[i] = float32(math.Exp(float64(x)))
	}
}

type unary uint8

const (
	opGeluTanh unary = iota
	opGeluErf
	opRelu
	opTanh
	opExp
	opQuickGelu
)
