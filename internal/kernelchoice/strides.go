package kernelchoice

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
)

// Rows describes an array as rows of n elements, the last axis, that are stride
// apart; ok is false when the outer axes do not collapse into one.
func Rows(a *op.Array) (rows, n, stride int, ok bool) {
	last := len(a.Shape) - 1
	if last < 0 {
		return 1, 1, 1, true
	}
	n = a.Shape[last]
	if n != 1 && a.Strides[last] != 1 {
		return 0, 0, 0, false
	}
	rows, stride = 1, n
	found := false
	for d := last - 1; d >= 0; d-- {
		if a.Shape[d] == 1 {
			continue
		}
		if !found {
			stride, found = a.Strides[d], true
		} else if a.Strides[d] != stride*rows {
			return 0, 0, 0, false
		}
		rows *= a.Shape[d]
	}
	return rows, n, stride, true
}

// Flat reports whether all arrays have the elements of one shape in one order
// without gaps, so that elementwise work can ignore the shape. Arrays without
// elements are not flat.
func Flat(out *op.Array, in ...*op.Array) bool {
	reach := 1
	for d, n := range out.Shape {
		if n == 0 {
			return false
		}
		reach += (n - 1) * out.Strides[d]
	}
	if reach != out.Len() {
		return false
	}
	for _, a := range in {
		if len(a.Shape) != len(out.Shape) {
			return false
		}
		for d, n := range out.Shape {
			if a.Shape[d] != n || n > 1 && a.Strides[d] != out.Strides[d] {
				return false
			}
		}
	}
	return true
}

// UnitRows reports whether the rows, the last axis, are dense.
func UnitRows(a *op.Array) bool {
	last := len(a.Shape) - 1
	return a.Shape[last] == 1 || a.Strides[last] == 1
}

// LastChannels reports whether an image is stored as [n, h, w, c] without gaps.
func LastChannels(a *op.Array) bool {
	n := 1
	for _, d := range [...]int{1, 3, 2, 0} {
		if a.Shape[d] != 1 && a.Strides[d] != n {
			return false
		}
		n *= a.Shape[d]
	}
	return true
}

// Trailing reports whether the axes of part are the last ones of shape, so that
// it is repeated as a whole.
func Trailing(shape, part []int) bool {
	skip := len(shape) - len(part)
	return skip >= 0 && slices.Equal(shape[skip:], part)
}
