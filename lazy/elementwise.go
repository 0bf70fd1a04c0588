package lazy

import "github.com/genie-sdk/go/internal/op"

// Abs is |x|, of f32, i32 or i64.
func Abs(x *Tensor) *Tensor { return Apply(op.Abs(), x) }

// Neg is -x, of f32, i32 or i64.
func Neg(x *Tensor) *Tensor { return Apply(op.Neg(), x) }

// Sign is 1, 0 or -1, of f32, i32 or i64; NaN stays NaN.
func Sign(x *Tensor) *Tensor { return Apply(op.Sign(), x) }

// Reciprocal is 1/x, infinite at zero.
func Reciprocal(x *Tensor) *Tensor { return Apply(op.Reciprocal(), x) }

// Rsqrt is 1/sqrt(x), infinite at zero and NaN below.
func Rsqrt(x *Tensor) *Tensor { return Apply(op.Rsqrt(), x) }

// Log is the natural logarithm, -Inf at zero and NaN below.
func Log(x *Tensor) *Tensor { return Apply(op.Log(), x) }

// Log1p is log(1+x), accurate near zero.
func Log1p(x *Tensor) *Tensor { return Apply(op.Log1p(), x) }

// Expm1 is exp(x)-1, accurate near zero.
func Expm1(x *Tensor) *Tensor { return Apply(op.Expm1(), x) }

// Sin is the sine of an angle in radians.
func Sin(x *Tensor) *Tensor { return Apply(op.Sin(), x) }

// Cos is the cosine of an angle in radians.
func Cos(x *Tensor) *Tensor { return Apply(op.Cos(), x) }

// Tan is the tangent of an angle in radians.
func Tan(x *Tensor) *Tensor { return Apply(op.Tan(), x) }

// Asin is the arc sine, in radians; NaN outside of -1 to 1.
func Asin(x *Tensor) *Tensor { return Apply(op.Asin(), x) }

// Acos is the arc cosine, in radians; NaN outside of -1 to 1.
func Acos(x *Tensor) *Tensor { return Apply(op.Acos(), x) }

// Atan is the arc tangent, in radians.
func Atan(x *Tensor) *Tensor { return Apply(op.Atan(), x) }

// Sinh is the hyperbolic sine.
func Sinh(x *Tensor) *Tensor { return Apply(op.Sinh(), x) }

// Cosh is the hyperbolic cosine.
func Cosh(x *Tensor) *Tensor { return Apply(op.Cosh(), x) }

// Asinh is the inverse of the hyperbolic sine.
func Asinh(x *Tensor) *Tensor { return Apply(op.Asinh(), x) }

// Acosh is the inverse of the hyperbolic cosine; NaN below 1.
func Acosh(x *Tensor) *Tensor { return Apply(op.Acosh(), x) }

// Atanh is the inverse of the hyperbolic tangent; NaN outside of -1 to 1.
func Atanh(x *Tensor) *Tensor { return Apply(op.Atanh(), x) }

// Erf is the error function.
func Erf(x *Tensor) *Tensor { return Apply(op.Erf(), x) }

// Sigmoid is 1/(1+exp(-x)).
func Sigmoid(x *Tensor) *Tensor { return Apply(op.Sigmoid(), x) }

// Softplus is log(1+exp(x)), without overflow.
func Softplus(x *Tensor) *Tensor { return Apply(op.Softplus(), x) }

// Floor is the largest integer that is not above x.
func Floor(x *Tensor) *Tensor { return Apply(op.Floor(), x) }

// Ceil is the smallest integer that is not below x.
func Ceil(x *Tensor) *Tensor { return Apply(op.Ceil(), x) }

// Round is the nearest integer; halves go to the even one.
func Round(x *Tensor) *Tensor { return Apply(op.Round(), x) }

// Clip is min(max(x, lo), hi), of f32. An infinite bound is none; if lo is above
// hi, every element becomes hi. NaN stays NaN.
func Clip(x *Tensor, lo, hi float32) *Tensor {
	return Apply(op.Clip{Min: float64(lo), Max: float64(hi)}, x)
}

// Minimum is the smaller of a and b, element by element, of one type, f32, i32
// or i64, with NumPy broadcasting. The minimum of NaN and anything is NaN.
func Minimum(a, b *Tensor) *Tensor { return Apply(op.Min(), a, b) }

// Maximum is the larger of a and b, element by element, of one type, f32, i32
// or i64, with NumPy broadcasting. The maximum of NaN and anything is NaN.
func Maximum(a, b *Tensor) *Tensor { return Apply(op.Max(), a, b) }

// Pow is a to the power b, of f32, with NumPy broadcasting: 1 where b is 0, and
// NaN where a is negative and b is not an integer.
func Pow(a, b *Tensor) *Tensor { return Apply(op.Pow(), a, b) }

// Mod is the remainder of a / b with the sign of b, as in Python, of one type,
// f32, i32 or i64, with NumPy broadcasting. By zero it is NaN of floats and 0 of
// integers.
func Mod(a, b *Tensor) *Tensor { return Apply(op.Mod{}, a, b) }

// Fmod is [Mod] with the sign of a, as C's fmod.
func Fmod(a, b *Tensor) *Tensor { return Apply(op.Mod{Fmod: true}, a, b) }

// Less is a < b, as bool, of one type, f32, i32 or i64, with NumPy broadcasting.
// A comparison with NaN is false.
func Less(a, b *Tensor) *Tensor { return Apply(op.Less(), a, b) }

// LessEqual is a <= b; see [Less].
func LessEqual(a, b *Tensor) *Tensor { return Apply(op.LessEqual(), a, b) }

// Greater is a > b; see [Less].
func Greater(a, b *Tensor) *Tensor { return Apply(op.Greater(), a, b) }

// GreaterEqual is a >= b; see [Less].
func GreaterEqual(a, b *Tensor) *Tensor { return Apply(op.GreaterEqual(), a, b) }

// And holds where a and b do, of bool, with NumPy broadcasting.
func And(a, b *Tensor) *Tensor { return Apply(op.And(), a, b) }

// Or holds where a or b or both do, of bool, with NumPy broadcasting.
func Or(a, b *Tensor) *Tensor { return Apply(op.Or(), a, b) }

// Xor holds where exactly one of a and b does, of bool, with NumPy broadcasting.
func Xor(a, b *Tensor) *Tensor { return Apply(op.Xor(), a, b) }

// Not holds where x, of bool, does not.
func Not(x *Tensor) *Tensor { return Apply(op.Not(), x) }

// IsNaN holds where x, of f32, is not a number.
func IsNaN(x *Tensor) *Tensor { return Apply(op.IsNaN(), x) }

// IsInf holds where x, of f32, is infinite, of either sign.
func IsInf(x *Tensor) *Tensor { return Apply(op.IsInf(), x) }
