package onnxfile

import "fmt"

// DataType is the element type of a tensor: TensorProto.DataType.
type DataType int32

// The element types.
const (
	Undefined DataType = iota
	Float
	Uint8
	Int8
	Uint16
	Int16
	Int32
	Int64
	String
	Bool
	Float16
	Double
	Uint32
	Uint64
	Complex64
	Complex128
	BFloat16
)

var dataTypes = [...]struct {
	name string
	size int
}{
	Undefined: {"undefined", 0}, Float: {"float", 4}, Uint8: {"uint8", 1}, Int8: {"int8", 1},
	Uint16: {"uint16", 2}, Int16: {"int16", 2}, Int32: {"int32", 4}, Int64: {"int64", 8}, String: {"string", 0},
	Bool: {"bool", 1}, Float16: {"float16", 2}, Double: {"double", 8}, Uint32: {"uint32", 4}, Uint64: {"uint64", 8},
	Complex64: {"complex64", 8}, Complex128: {"complex128", 16}, BFloat16: {"bfloat16", 2},
	17: {"float8e4m3fn", 0}, 18: {"float8e4m3fnuz", 0}, 19: {"float8e5m2", 0}, 20: {"float8e5m2fnuz", 0},
	21: {"uint4", 0}, 22: {"int4", 0}, 23: {"float4e2m1", 0}, 24: {"float8e8m0", 0}, 25: {"uint2", 0}, 26: {"int2", 0},
}

// String is the lower-case name.
func (d DataType) String() string {
	if d < 0 || int(d) >= len(dataTypes) {
		return fmt.Sprintf("data type %d", int32(d))
	}
	return dataTypes[d].name
}

// Size is the bytes of an element, 0 for a type whose content is not read: text,
// and types narrower than a byte or of 8-bit floating point.
func (d DataType) Size() int {
	if d < 0 || int(d) >= len(dataTypes) {
		return 0
	}
	return dataTypes[d].size
}
