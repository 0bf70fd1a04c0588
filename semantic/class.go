package semantic

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/op"
)

// Class is a kind of work with its own rate on a device.
type Class uint8

// The classes. Work is counted in FLOPs where arithmetic is the bound and in
// bytes where memory is.
const (
	ClassElementwise Class = iota // bytes: stand-alone arithmetic and activations
	ClassProduct                  // FLOPs: matrix products
	ClassNarrow                   // bytes: products with a dimension below narrowSide
	ClassConv                     // FLOPs: convolutions
	ClassConv3x3                  // FLOPs: 3x3 convolutions of stride 1, which have faster algorithms
	ClassAttention                // FLOPs: attention patterns, from scores to context
	ClassNorm                     // bytes: batch and layer normalisation, softmax
	ClassGather                   // bytes: rows of a table by index
	ClassCopy                     // bytes: concatenation, cache updates, casts and other moves
	ClassReduce                   // bytes: reductions, pooling, sampling
	ClassReference                // FLOPs and elements moved: the references of operators that have no kernel
	numClasses
)

var classNames = [numClasses]string{
	"elementwise", "product", "narrow_product", "conv", "conv_3x3", "attention", "norm", "gather", "copy", "reduce", "reference",
}

// String is the class's name, such as narrow_product.
func (c Class) String() string { return classNames[c] }

// MarshalText implements encoding.TextMarshaler.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Class) UnmarshalText(text []byte) error {
	i := slices.Index(classNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%w: no class of work is called %.40q", ErrCalibration, text)
	}
	*c = Class(i)
	return nil
}

// narrowSide is the dimension of a product below which reading its operands
// takes longer than multiplying them.
const narrowSide = 16

// Work is the amount of c's work in a cost: FLOPs or bytes.
func (c Class) Work(cost Cost) float64 {
	switch c {
	case ClassProduct, ClassConv, ClassConv3x3, ClassAttention:
		return cost.FLOPs
	case ClassReference:
		return cost.FLOPs + (cost.BytesRead+cost.BytesWritten)/4
	case ClassElementwise, ClassNarrow, ClassNorm, ClassGather, ClassCopy, ClassReduce, numClasses:
	}
	return cost.BytesRead + cost.BytesWritten
}

// classOf is the class of a stand-alone operator at the given sizes of its
// inputs and output.
func classOf(o op.Op, in [][]int, out []int) Class {
	switch o := o.(type) {
	case op.MatMul:
		a := in[0]
		k := a[len(a)-1]
		if o.TransA {
			k = a[len(a)-2]
		}
		rows := 1 // leading axes are rows when all of them share one matrix
		if len(in[1]) == 2 && !o.TransA {
			for _, n := range out[:len(out)-2] {
				rows *= n
			}
		}
		if min(rows*out[len(out)-2], out[len(out)-1], k) < narrowSide {
			return ClassNarrow
		}
		return ClassProduct
	case op.Attention:
		return ClassAttention
	case op.Conv2D:
		if w := in[1]; w[2] == 3 && w[3] == 3 && o.Stride == [2]int{1, 1} && o.Dilation == [2]int{1, 1} && o.Groups == 1 {
			return ClassConv3x3
		}
		return ClassConv
	}
	return classes[o.Traits().Class]
}

// classes are the classes of the operators whose class does not depend on
// sizes.
var classes = map[op.Class]Class{
	op.ClassElementwise: ClassElementwise,
	op.ClassProduct:     ClassProduct,
	op.ClassConv:        ClassConv,
	op.ClassNorm:        ClassNorm,
	op.ClassGather:      ClassGather,
	op.ClassCopy:        ClassCopy,
	op.ClassReduce:      ClassReduce,
}
