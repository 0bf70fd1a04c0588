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
	// Class is the kind of work that it is, for the cost model.
	Class Class
	// Pointwise: an element of the output is computed from those elements of the
	// inputs that are at its place, smaller inputs broadcast, and from nothing else.
	// Such an operator runs in any layout.
	Pointwise bool
	// Commutative: the two operands may be swapped.
	Commutative bool
	// NonLinear: an activation, which makes two layers more than one.
	NonLinear bool
	// Aligned: each output element comes from the element of the first input at
	// the same position, whatever else is done to it. A pointwise operator is
	// aligned for each of its inputs.
	Aligned bool
	// View: it gives its first input another layout where it can, see [Viewer], and
	// moves no data.
	View bool
	// Moves: it computes no numbers: the output's elements are elements of the
	// inputs.
	Moves bool
	// Reduces: several elements become one.
	Reduces bool
	// Gathers: it reads its first input at random, at the indices that another input
	// has: no more of it than it gives.
	Gathers bool
	// Overwrites: it writes over elements of its first input where that is carried
	// state, so that readers of what was there before come first.
	Overwrites bool
	// Layer: with a weight for one of its first two operands it is a parameterised
	// layer.
	Layer bool
	// Images: it takes an image with its channels last as well as with its channels
	// first, and its output is best laid out as the input is.
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
	ClassReduce                   // reductions, pooling, choice of tokens
)

// RowWise is implemented by operators that are not pointwise and of which a part
// along some axes is computed from parts of the inputs.
type RowWise interface {
	// Rows gives, for each input, the axis along which to take positions
	// s.Start to s.Stop, or -1 for the whole input, and the operator that
	// computes from these the same positions of the output along s.Axis, which
	// is not negative. ok is false if there is no such operator.
	Rows(in []plan.Spec, out plan.Spec, s Slice) (axes []int, o Op, ok bool)
}

// Rows is [RowWise.Rows] of o, which pointwise operators have, too.
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

// activation is what the traits of all unary activations are.
func activation() Traits {
	return Traits{Class: ClassElementwise, Pointwise: true, NonLinear: true}
}

// Activations are the unary activations of the table that have no attributes, by
// name: what holds for one of them is tested for all.
func Activations() []Op {
	x := []plan.Spec{{DType: plan.F32, Shape: plan.Shape{plan.C(2)}}}
	var out []Op
	for _, name := range slices.Sorted(maps.Keys(table)) {
		o, err := New(name, nil)
		if err != nil {
			continue // it wants attributes
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

// moves is what the traits of operators have in common that only move elements.
func moves() Traits { return Traits{Class: ClassCopy, Moves: true} }

// views are the traits of operators that move nothing where they can.
func views() Traits { return Traits{Class: ClassCopy, Moves: true, View: true} }
