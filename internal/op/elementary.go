package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Unary is an elementary function of each element of f32; abs, neg and sign
// also of i32 and i64. The functions are those of [functions]. Outside of its
// domain a function is NaN, and a function of NaN is NaN.
type Unary struct{ name string }

// function is one elementary function.
type function struct {
	floats func(x float64) float64
	ints   func(x int64) int64 // nil for none
	flops  float64
	linear bool
}

// functions are the elementary functions, by name.
var functions = map[string]function{
	"abs":        {math.Abs, func(x int64) int64 { return max(x, -x) }, 1, false},
	"neg":        {func(x float64) float64 { return -x }, func(x int64) int64 { return -x }, 1, true},
	"sign":       {sign, func(x int64) int64 { return min(max(x, -1), 1) }, 1, false},
	"reciprocal": {func(x float64) float64 { return 1 / x }, nil, 1, false},
	"rsqrt":      {func(x float64) float64 { return 1 / math.Sqrt(x) }, nil, 2, false},
	"log":        {math.Log, nil, 1, false},
	"log1p":      {math.Log1p, nil, 1, false},
	"expm1":      {math.Expm1, nil, 1, false},
	"sin":        {math.Sin, nil, 1, false},
	"cos":        {math.Cos, nil, 1, false},
	"tan":        {math.Tan, nil, 1, false},
	"asin":       {math.Asin, nil, 1, false},
	"acos":       {math.Acos, nil, 1, false},
	"atan":       {math.Atan, nil, 1, false},
	"sinh":       {math.Sinh, nil, 1, false},
	"cosh":       {math.Cosh, nil, 1, false},
	"asinh":      {math.Asinh, nil, 1, false},
	"acosh":      {math.Acosh, nil, 1, false},
	"atanh":      {math.Atanh, nil, 1, false},
	"erf":        {math.Erf, nil, 1, false},
	"sigmoid":    {func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, nil, 3, false},
	"softplus":   {softplus, nil, 4, false},
	"floor":      {math.Floor, nil, 1, false},
	"ceil":       {math.Ceil, nil, 1, false},
	"round":      {math.RoundToEven, nil, 1, false},
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x // zeros and NaN
}

// softplus does not overflow.
func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// Abs is |x|. The smallest integer has no positive counterpart and stays.
func Abs() Unary { return Unary{"abs"} }

// Neg is -x.
func Neg() Unary { return Unary{"neg"} }

// Sign is 1, 0 or -1.
func Sign() Unary { return Unary{"sign"} }

// Reciprocal is 1/x, infinite at zero.
func Reciprocal() Unary { return Unary{"reciprocal"} }

// Rsqrt is 1/sqrt(x), infinite at zero.
func Rsqrt() Unary { return Unary{"rsqrt"} }

// Log is the natural logarithm, -Inf at zero.
func Log() Unary { return Unary{"log"} }

// Log1p is log(1+x), accurate near zero.
func Log1p() Unary { return Unary{"log1p"} }

// Expm1 is exp(x)-1, accurate near zero.
func Expm1() Unary { return Unary{"expm1"} }

// Sin is the sine of an angle in radians.
func Sin() Unary { return Unary{"sin"} }

// Cos is the cosine of an angle in radians.
func Cos() Unary { return Unary{"cos"} }

// Tan is the tangent of an angle in radians.
func Tan() Unary { return Unary{"tan"} }

// Asin is the arc sine, in radians.
func Asin() Unary { return Unary{"asin"} }

// Acos is the arc cosine, in radians.
func Acos() Unary { return Unary{"acos"} }

// Atan is the arc tangent, in radians.
func Atan() Unary { return Unary{"atan"} }

// Sinh is the hyperbolic sine.
func Sinh() Unary { return Unary{"sinh"} }

// Cosh is the hyperbolic cosine.
func Cosh() Unary { return Unary{"cosh"} }

// Asinh is the inverse of the hyperbolic sine.
func Asinh() Unary { return Unary{"asinh"} }

// Acosh is the inverse of the hyperbolic cosine, not negative.
func Acosh() Unary { return Unary{"acosh"} }

// Atanh is the inverse of the hyperbolic tangent.
func Atanh() Unary { return Unary{"atanh"} }

// Erf is the error function.
func Erf() Unary { return Unary{"erf"} }

// Sigmoid is 1/(1+exp(-x)).
func Sigmoid() Unary { return Unary{"sigmoid"} }

// Softplus is log(1+exp(x)).
func Softplus() Unary { return Unary{"softplus"} }

// Floor is the largest integer that is not above x.
func Floor() Unary { return Unary{"floor"} }

// Ceil is the smallest integer that is not below x.
func Ceil() Unary { return Unary{"ceil"} }

// Round is the nearest integer; halves go to the even one.
func Round() Unary { return Unary{"round"} }

// Name is the function's.
func (o Unary) Name() string { return o.name }

// Traits are those of an activation, except that a linear function is none.
func (o Unary) Traits() Traits {
	t := activation()
	t.NonLinear = !functions[o.name].linear
	return t
}

// Attrs has none.
func (Unary) Attrs() plan.Attrs { return nil }

// Infer keeps the type and the shape.
func (o Unary) Infer(in []plan.Spec) (plan.Spec, error) {
	if len(in) == 1 && in[0].DType.IsInt() && functions[o.name].ints != nil {
		return in[0], nil
	}
	return inferSame(in)
}

// FLOPs is a few per element.
func (o Unary) FLOPs(_ [][]int, out []int) float64 { return functions[o.name].flops * fproduct(out) }

// Eval is the reference kernel.
func (o Unary) Eval(out *Array, in []*Array, h halt.Func) error {
	f, x := functions[o.name], in[0]
	if out.DType == plan.F32 {
		return evalUnary(out, in, h, f.floats)
	}
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) { out.SetInt(p[0], int(f.ints(int64(x.Int(p[1]))))) }, out.Strides, x.Strides)
}

// Clip is x within bounds, of f32: min(max(x, Min), Max), so Max if Min is
// larger. NaN stays NaN. An infinite bound is none.
type Clip struct{ Min, Max float64 }

// Name is clip.
func (Clip) Name() string { return "clip" }

// Traits are those of an activation.
func (Clip) Traits() Traits { return activation() }

// Attrs are the bounds.
func (o Clip) Attrs() plan.Attrs {
	return plan.Attrs{plan.Float("max", o.Max), plan.Float("min", o.Min)}
}

func decodeClip(r *plan.AttrReader) Op { return Clip{Max: r.Float("max"), Min: r.Float("min")} }

// Infer keeps the shape.
func (o Clip) Infer(in []plan.Spec) (plan.Spec, error) {
	s, err := inferSame(in)
	if err == nil && (o.Min != o.Min || o.Max != o.Max) {
		err = shapeErr("clip between %v and %v", o.Min, o.Max)
	}
	return s, err
}

// FLOPs is two per element.
func (Clip) FLOPs(_ [][]int, out []int) float64 { return 2 * fproduct(out) }

// Eval is the reference kernel.
func (o Clip) Eval(out *Array, in []*Array, h halt.Func) error {
	lo, hi := float64(float32(o.Min)), float64(float32(o.Max))
	return evalUnary(out, in, h, func(x float64) float64 { return min(max(x, lo), hi) })
}
