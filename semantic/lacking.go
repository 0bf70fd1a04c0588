package semantic

import "slices"

// withoutKernel are the pointwise operators that the CPU computes by their
// references.
func withoutKernel() []string { return slices.Concat(selections(), elementary()) }

// withoutCode are the pointwise operators that a GPU does not apply to the
// result of a product.
func withoutCode() []string { return slices.Concat(selections(), elementary()) }

func selections() []string {
	return []string{
		"cast", "equal", "where", "less", "less_equal", "greater", "greater_equal",
		"and", "or", "xor", "not", "is_nan", "is_inf", "min", "max", "pow", "mod", "clip",
	}
}

func elementary() []string {
	return []string{
		"abs", "neg", "sign", "reciprocal", "rsqrt", "log", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos", "atan",
		"sinh", "cosh", "asinh", "acosh", "atanh", "erf", "sigmoid", "softplus", "floor", "ceil", "round",
	}
}
