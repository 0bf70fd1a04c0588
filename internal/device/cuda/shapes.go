package cuda

import (
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/transport/plan"
)

// axes is memory for strides.
type axes [plan.MaxRank]int

// rowMajor is a tensor of t's shape at another address, without gaps.
func rowMajor(t *kernels.Tensor, at driver.Ptr, strides *axes) kernels.Tensor {
	n := 1
	for d := len(t.Shape) - 1; d >= 0; d-- {
		strides[d] = n
		n *= t.Shape[d]
	}
	return kernels.Tensor{At: at, DType: t.DType, Shape: t.Shape, Strides: strides[:len(t.Shape)]}
}

// rowRun describes a tensor as rows, the last axis, that are
// stride apart; ok is false when the outer axes do not collapse into one.
func rowRun(t *kernels.Tensor) (rows, stride int, ok bool) {
	last := len(t.Shape) - 1
	if last < 0 {
		return 1, 1, true
	}
	n := t.Shape[last]
	if n != 1 && t.Strides[last] != 1 {
		return 0, 0, false
	}
	rows, stride = 1, n
	found := false
	for d := last - 1; d >= 0; d-- {
		if t.Shape[d] == 1 {
			continue
		}
		if !found {
			stride, found = t.Strides[d], true
		} else if t.Strides[d] != stride*rows {
			return 0, 0, false
		}
		rows *= t.Shape[d]
	}
	return rows, stride, true
}

// axisOf is an operator's axis of a tensor of some rank, counted from the first.
func axisOf(axis, rank int) int {
	if axis < 0 {
		return axis + rank
	}
	return axis
}
