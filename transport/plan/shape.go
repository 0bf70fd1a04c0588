package plan

import (
	"slices"
	"strings"
)

// Shape is the dimensions of a value, outermost first.
type Shape []Dim

// Equal reports whether s and o have the same rank and dimensions.
func (s Shape) Equal(o Shape) bool { return slices.EqualFunc(s, o, Dim.Equal) }

// Elements is the product of the dimensions; 1 for rank 0.
func (s Shape) Elements() Dim {
	n := C(1)
	for _, d := range s {
		n = n.Mul(d)
	}
	return n
}

// Eval binds every dimension.
func (s Shape) Eval(b Bindings) ([]int, error) {
	out := make([]int, len(s))
	for i, d := range s {
		n, err := d.Eval(b)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// String writes the shape as [a, b, c].
func (s Shape) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range s {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.String())
	}
	b.WriteByte(']')
	return b.String()
}

// Spec is the element type and shape of a value.
type Spec struct {
	DType DType `json:"dtype"`
	Shape Shape `json:"shape"`
}

// String writes the spec as f32[a, b].
func (s Spec) String() string { return s.DType.String() + s.Shape.String() }
