package safetensors

import (
	"fmt"
	"math"
)

// DType is the element type of a tensor, under the name that the header uses.
type DType string

// The element types that this package reads and writes. The format knows
// smaller floats too (F8_E4M3 and others); a file that holds one is refused
// with [ErrUnsupported].
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U64  DType = "U64"
	U32  DType = "U32"
	U16  DType = "U16"
	U8   DType = "U8"
	BOOL DType = "BOOL"
)

// Size returns the bytes of one element, or 0 for a type that is not one of
// this package's constants.
func (d DType) Size() int64 {
	switch d {
	case F64, I64, U64:
		return 8
	case F32, I32, U32:
		return 4
	case F16, BF16, I16, U16:
		return 2
	case I8, U8, BOOL:
		return 1
	default:
		return 0
	}
}

// byteSize returns the bytes of a tensor, or an error when a dimension is
// negative, the dtype is unknown, or the product does not fit 63 bits. As in
// the reference implementation the product is taken from the left, so a later
// zero does not excuse an earlier overflow.
func byteSize(d DType, shape []int64) (int64, error) {
	unit := d.Size()
	if unit == 0 {
		return 0, fmt.Errorf("%w: dtype %q", ErrUnsupported, string(d))
	}
	elements := int64(1)
	for i, n := range shape {
		if n < 0 {
			return 0, fmt.Errorf("%w: dimension %d of shape %v is negative", ErrCorrupt, i, shape)
		}
		if n != 0 && elements > math.MaxInt64/n {
			return 0, fmt.Errorf("%w: shape %v has more elements than fit 64 bits", ErrCorrupt, shape)
		}
		elements *= n
	}
	if elements > math.MaxInt64/unit {
		return 0, fmt.Errorf("%w: shape %v of %s has more bytes than fit 64 bits", ErrCorrupt, shape, d)
	}
	return elements * unit, nil
}
