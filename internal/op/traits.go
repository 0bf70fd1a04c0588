package op

import (
	"maps"
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// Traits are the properties of an operator that other packages need. Each
// operator states its own beside its shape rule; there are no hand-written
// lists of operators. Code that depends on one operator's attributes, such as
// the pattern of attention, asks for that operator.
type Traits struct {
	// Class is the operator's kind of work, for the cost model.
	Class Class
	// Pointwise: each output element is computed only from the input elements
	// at the same position, with smaller inputs broadcast. Such an operator
	// runs in any layout.
	Pointwise bool
	// Commutative: the two operands may be swapped.
	Commutative bool
	// NonLinear: an activation, which separates two layers.
	NonLinear bool
	// Aligned: each output element comes from the element of the first input at
	// the same position, whatever else is done to it. A pointwise operator is
	// aligned for each of its inputs.
	Aligned bool
	// View: it changes the layout of its first input where possible, see
	// [Viewer], and moves no data.
	View bool
	// Moves: it computes no numbers: output elements are input elements.
	Moves bool
	// Reduces: several elements become one.
	Reduces bool
	// Gathers: it reads its first input at random, at the indices in another
	// input: no more of it than it outputs.
	Gathers bool
	// Overwrites: it overwrites elements of its first input if that is carried
	// state, so that readers of the old content come first.
	Overwrites bool
	// Layer: with a weight for one of its first two operands it is a parameterised
	// layer.
	Layer bool
	// Images: it accepts images with channels last as well as channels first,
	// and its output should have the layout of its input.
	Images bool
}

// Class is the kind of work of an operator. A device does each kind at its own
// rate; effects of sizes belong to the cost model.
type Class uint8

// The classes of operators.
const (
	ClassElementwise Class = iota // arithmetic and activations
	ClassProduct                  // matrix products
	ClassConv                     // convolutions
	ClassNorm                     // batch and layer normalisation, softmax
	ClassGather                   // rows of a table by index
	ClassCopy                     // concatenation, updates of state, casts and other moves
	ClassReduce                   // reductions, pooling, sampling
)

// RowWise is implemented by operators that are not pointwise but compute a part
// of the output, along some axes, from parts of the inputs.
type RowWise interface {
	// Rows gives, for each input, the axis along which to take positions
	// s.Start to s.Stop, or -1 for the whole input, and the operator that
	// computes from these the same positions of the output along s.Axis, which
	// is not negative. ok is false if there is no such operator.
	Rows(in []plan.Spec, out plan.Spec, s Slice) (axes []int, o Op, ok bool)
}

// Rows is [RowWise.Rows] of o; it also covers pointwise operators.
func Rows(o Op, in []plan.Spec, out plan.Spec, s Slice) (axes []int, part Op, ok bool) {
	if r, ok := o.(RowWise); ok {
		return r.Rows(in, out, s)
	}
	if !o.Traits().Pointwise {
		return nil, nil, false
	}
	axes = make([]int, len(in))
	for i, x := range in {
		axes[i] = s.Axis - len(out.Shape) + len(x.Shape)
		if axes[i] < 0 || x.Shape[axes[i]].Is(1) && !out.Shape[s.Axis].Is(1) {
			axes[i] = -1
		}
	}
	return axes, o, true
}

// firstRows are the rows of the first input along the output's axis, the other
// inputs whole.
func firstRows(in []plan.Spec, s Slice) []int {
	axes := make([]int, len(in))
	for i := range axes {
		axes[i] = -1
	}
	axes[0] = s.Axis
	return axes
}

// activation is the traits of all unary activations.
func activation() Traits {
	return Traits{Class: ClassElementwise, Pointwise: true, NonLinear: true}
}

// Activations are the unary activations of the table without attributes, by
// name: a test of one property covers all of them.
func Activations() []Op {
	x := []plan.Spec{{DType: plan.F32, Shape: plan.Shape{plan.C(2)}}}
	var out []Op
	for _, name := range slices.Sorted(maps.Keys(table)) {
		o, err := New(name, nil)
		if err != nil {
			continue // it needs attributes
		}
		if t := o.Traits(); !t.Pointwise || !t.NonLinear {
			continue
		}
		if _, err := o.Infer(x); err == nil {
			out = append(out, o)
		}
	}
	return out
}

// moves is the common traits of operators that only move elements.
func moves() Traits { return Traits{Class: ClassCopy, Moves: true} }

// views are the traits of operators that move nothing where possible.
func views() Traits { return Traits{Class: ClassCopy, Moves: true, View: true} }
