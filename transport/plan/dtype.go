package plan

import "fmt"

// DType is the element type of a value.
type DType uint8

// The element types. Compute is float32; the half formats are storage formats
// of weights; integers are indices; Bool holds masks, one byte an element.
const (
	Invalid DType = iota
	F32           // IEEE 754 binary32
	F16           // IEEE 754 binary16, storage only
	BF16          // bfloat16, storage only
	I32           // two's complement 32-bit index
	I64           // two's complement 64-bit index
	Bool          // one byte, 0 or 1
)

var dtypeNames = [...]string{"invalid", "f32", "f16", "bf16", "i32", "i64", "bool"}

// String is the lower-case name: f32, f16, bf16, i32, i64 or bool.
func (d DType) String() string {
	if int(d) < len(dtypeNames) {
		return dtypeNames[d]
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// Size is the width of one element in bytes; 0 for an invalid type.
func (d DType) Size() int {
	switch d {
	case F32, I32:
		return 4
	case F16, BF16:
		return 2
	case I64:
		return 8
	case Bool:
		return 1
	case Invalid:
	}
	return 0
}

// Valid reports whether d is one of the declared element types.
func (d DType) Valid() bool { return d > Invalid && d <= Bool }

// IsInt reports whether d is an index type.
func (d DType) IsInt() bool { return d == I32 || d == I64 }

// ParseDType is the inverse of [DType.String].
func ParseDType(s string) (DType, error) {
	for i, n := range dtypeNames {
		if i > 0 && n == s {
			return DType(i), nil
		}
	}
	return Invalid, fmt.Errorf("%w: unknown dtype %q", ErrInvalid, s)
}

// MarshalText implements encoding.TextMarshaler.
func (d DType) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DType) UnmarshalText(b []byte) error {
	v, err := ParseDType(string(b))
	*d = v
	return err
}
