package lazy

import "github.com/genie-sdk/go/internal/op"

// LayerNorm normalises the last axis of x [..., n] to mean 0 and variance 1,
// and applies gamma [n] and beta [n]. Either may be nil.
func LayerNorm(x, gamma, beta *Tensor, eps float64) *Tensor {
	o := op.LayerNorm{Eps: eps}
	switch {
	case gamma != nil && beta != nil:
		return Apply(o, x, gamma, beta)
	case gamma != nil:
		return Apply(o, x, gamma)
	case beta != nil:
		return Bias(Apply(o, x), beta)
	}
	return Apply(o, x)
}

// RMSNorm divides the last axis of x [..., n] by its root mean square, the
// square root of eps plus the mean square, and multiplies by weight [n] if that
// is not nil.
func RMSNorm(x, weight *Tensor, eps float64) *Tensor {
	if weight == nil {
		return Apply(op.RMSNorm{Eps: eps}, x)
	}
	return Apply(op.RMSNorm{Eps: eps}, x, weight)
}

// RMSNormPlusOne is [RMSNorm] with the weight 1 + weight, as Gemma stores it.
func RMSNormPlusOne(x, weight *Tensor, eps float64) *Tensor {
	return Apply(op.RMSNorm{Eps: eps, Offset: 1}, x, weight)
}

// LogSoftmax is the logarithm of [Softmax] along an axis; negative axes count
// from the last.
func LogSoftmax(x *Tensor, axis int) *Tensor { return Apply(op.LogSoftmax{Axis: axis}, x) }
