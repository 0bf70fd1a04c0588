package semantic

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
)

// Traits are what a policy can know about an operator without a list of
// operators: each operator states its own. Its name and attributes tell more.
type Traits struct {
	// Class is the operator's kind of work. [Kernel.Class] also depends on
	// sizes.
	Class Class
	// Pointwise: each output element is computed only from the input elements
	// at the same position, with smaller inputs broadcast.
	Pointwise bool
	// Commutative: the two operands may be swapped.
	Commutative bool
	// NonLinear: an activation.
	NonLinear bool
	// Aligned: each output element comes from the element of the first input at
	// the same position, whatever else is done to it.
	Aligned bool
	// View: it changes the layout of its first input where possible, and moves
	// no data.
	View bool
	// Moves: it computes no numbers: output elements are input elements.
	Moves bool
	// Reduces: several elements become one.
	Reduces bool
	// Gathers: it reads its first input at random, at the indices in another
	// input.
	Gathers bool
	// Overwrites: it overwrites elements of its first input if that is carried
	// state.
	Overwrites bool
	// Layer: with a weight for one of its first two operands it is a parameterised
	// layer.
	Layer bool
	// Images: it accepts images with channels last as well as channels first.
	Images bool
}

// TraitsOf returns the traits of an operator, such as the one from
// [lazy.Tensor.Op]. No operator, an unknown one, and attributes that it does
// not accept are [ErrPolicy].
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
