package safetensors

import (
	"fmt"
	"math"
)

// DType is the element type of a tensor, under the name that the header uses.
type DType string

// The element types that this package reads and writes. The format has others,
// such as F8_E4M3; a file may contain tensors of any type, whose bytes are
// accessible but not interpreted.
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

// bits returns the bits of one element, or 0 for an unknown type (safetensors
// 0.8, tensor.rs, Dtype).
func (d DType) bits() int64 {
	switch d {
	case "F4":
		return 4
	case "F6_E2M3", "F6_E3M2":
		return 6
	case "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ":
		return 8
	case "C64":
		return 64
	default:
		return 8 * d.Size()
	}
}

// unknownSize stands for the bytes of a tensor whose type is unknown.
const unknownSize = -1

// byteSize returns the bytes of a tensor, or an error when a dimension is
// negative, the product does not fit 63 bits, or the last byte is not full.
// Like the reference implementation it multiplies from the left, so a later
// zero does not excuse an earlier overflow.
func byteSize(d DType, shape []int64) (int64, error) {
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
	unit := d.bits()
	switch {
	case unit == 0:
		return unknownSize, nil
	case unit%8 == 0 && elements > math.MaxInt64/(unit/8), unit%8 != 0 && elements > math.MaxInt64/unit:
		return 0, fmt.Errorf("%w: shape %v of %s has more bytes than fit 64 bits", ErrCorrupt, shape, d)
	case unit%8 == 0:
		return elements * (unit / 8), nil
	case elements*unit%8 != 0:
		return 0, fmt.Errorf("%w: shape %v of %s does not end at a whole byte", ErrCorrupt, shape, d)
	}
	return elements * unit / 8, nil
}
