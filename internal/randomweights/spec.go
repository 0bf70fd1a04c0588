package randomweights

import (
	"math"

	"github.com/genie-sdk/go/internal/safetensors"
)

// Spec describes one tensor to generate: Mean + Std * noise, where the noise
// has mean 0 and deviation 1 and never exceeds 3.47 in magnitude.
type Spec struct {
	Name      string
	Shape     []int64
	Mean, Std float64
	// DType is the element type if it differs from that of the checkpoint: I64,
	// for counters, whose elements all equal Mean.
	DType safetensors.DType
}

// Const is a tensor of one constant value.
func Const(name string, value float64, shape ...int64) Spec {
	return Spec{Name: name, Shape: shape, Mean: value}
}

// Elements is the number of elements.
func (s Spec) Elements() int64 {
	n := int64(1)
	for _, d := range s.Shape {
		n *= d
	}
	return n
}

func (s Spec) dtype(of safetensors.DType) safetensors.DType {
	if s.DType != "" {
		return s.DType
	}
	return of
}

// Parameters is the number of elements of all tensors of the checkpoint's own
// type.
func Parameters(specs []Spec) int64 {
	n := int64(0)
	for _, s := range specs {
		if s.DType == "" {
			n += s.Elements()
		}
	}
	return n
}

// size is the bytes of all tensors.
func size(specs []Spec, dtype safetensors.DType) int64 {
	n := int64(0)
	for _, s := range specs {
		n += s.Elements() * s.dtype(dtype).Size()
	}
	return n
}

// HeStd is the deviation of weights over fanIn inputs that keeps the mean
// square of activations through a layer with ReLU (He et al.,
// arXiv:1502.01852).
func HeStd(fanIn int64) float64 { return math.Sqrt(2 / float64(fanIn)) }
