package semantic

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
)

// Traits are what a policy can know of an operator without a list of operators: each
// operator states its own. More than these say is in its name and attributes.
type Traits struct {
	// Class is the kind of work that it is. What depends on sizes, too, is in
	// [Kernel.Class].
	Class Class
	// Pointwise: an element of the output is computed from those elements of the
	// inputs that are at its place, smaller inputs broadcast, and from nothing else.
	Pointwise bool
	// Commutative: the two operands may be swapped.
	Commutative bool
	// NonLinear: an activation.
	NonLinear bool
	// Aligned: the element of the output at a place comes from the element of the
	// first input at that place, whatever else is done to it.
	Aligned bool
	// View: it gives its first input another layout where it can, and moves no data.
	View bool
	// Moves: it computes no numbers: the output's elements are elements of the inputs.
	Moves bool
	// Reduces: several elements become one.
	Reduces bool
	// Gathers: it reads its first input at random, at the indices that another input
	// has.
	Gathers bool
	// Overwrites: it writes over elements of its first input where that is carried
	// state.
	Overwrites bool
	// Layer: with a weight for one of its first two operands it is a parameterised
	// layer.
	Layer bool
	// Images: it takes an image with its channels last as well as with its channels
	// first.
	Images bool
}

// TraitsOf gives the traits of an operator, such as [lazy.Tensor.Op] gives. No
// operator, one that this module does not have and attributes that it does not take
// are [ErrPolicy].
func TraitsOf(o lazy.Operator) (Traits, error) {
	if o == nil {
		return Traits{}, planErr("a leaf has no operator")
	}
	impl, ok := o.(op.Op)
	if !ok {
		var err error
		if impl, err = op.New(o.Name(), o.Attrs()); err != nil {
			return Traits{}, fmt.Errorf("%w: %w", ErrPolicy, err)
		}
	}
	return traitsOf(impl), nil
}

func traitsOf(o op.Op) Traits {
	t := o.Traits()
	return Traits{
		Class: classes[t.Class], Pointwise: t.Pointwise, Commutative: t.Commutative, NonLinear: t.NonLinear, Aligned: t.Aligned,
		View: t.View, Moves: t.Moves, Reduces: t.Reduces, Gathers: t.Gathers, Overwrites: t.Overwrites, Layer: t.Layer, Images: t.Images,
	}
}
