package semantic

import "slices"

// withoutKernel are the pointwise operators that the CPU does not apply to the
// result of a product: they have kernels of their own.
func withoutKernel() []string { return selections() }

// withoutCode are the pointwise operators that a GPU does not apply to the
// result of a product.
func withoutCode() []string { return slices.Concat(selections(), general()) }

// selections are not of floats alone, or of more than two operands.
func selections() []string {
	return []string{
		"cast", "equal", "where", "less", "less_equal", "greater", "greater_equal", "and", "or", "xor", "not", "is_nan", "is_inf",
	}
}

// general are functions of floats without a code in the kernels of a GPU.
func general() []string {
	return []string{
		"pow", "sign", "log", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos", "atan",
		"sinh", "cosh", "asinh", "acosh", "atanh", "erf", "softplus",
		"abs", "neg", "reciprocal", "rsqrt", "sigmoid", "floor", "ceil", "round", "min", "max", "mod", "clip",
	}
}
