package workloads

import (
	"encoding/binary"
	"math"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
)

// TensorF32 is a tensor of float32 values.
func TensorF32(data []float32, shape ...int) transport.Tensor {
	b := make([]byte, 0, 4*len(data))
	for _, v := range data {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return transport.Tensor{DType: lazy.F32, Shape: shape, Data: b}
}

// TensorI32 is a tensor of int32 values.
func TensorI32(data []int32, shape ...int) transport.Tensor {
	b := make([]byte, 0, 4*len(data))
	for _, v := range data {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return transport.Tensor{DType: lazy.I32, Shape: shape, Data: b}
}
