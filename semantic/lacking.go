package semantic

import "slices"

// withoutKernel are the pointwise operators that the CPU does not apply to the
// result of a product. Selections have a kernel of their own.
func withoutKernel() []string { return slices.Concat(selections(), references()) }

// withoutCode are the pointwise operators that a GPU does not apply to the
// result of a product.
func withoutCode() []string { return slices.Concat(selections(), general()) }

// selections are not of floats alone, or of more than two operands.
func selections() []string {
	return []string{
		"cast", "equal", "where", "less", "less_equal", "greater", "greater_equal", "and", "or", "xor", "not", "is_nan", "is_inf",
	}
}

// references are computed by their references on every device.
func references() []string {
	return []string{
		"pow", "sign", "log", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos", "atan",
		"sinh", "cosh", "asinh", "acosh", "atanh", "erf", "softplus",
	}
}

// general are functions of floats without a code in the kernels of a GPU.
func general() []string {
	return slices.Concat(references(), []string{
		"abs", "neg", "reciprocal", "rsqrt", "sigmoid", "floor", "ceil", "round", "min", "max", "mod", "clip",
	})
}
