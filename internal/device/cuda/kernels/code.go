package kernels

import "github.com/genie-sdk/go/internal/op"

// Code is a pointwise operator on one element: the codes of pointwise.cuh have
// the same numbers. Those from [twoOperands] on have two operands.
type Code uint32

// twoOperands is the first code of an operator with two operands.
const twoOperands Code = 32

// codes are the operators by name; gelu has two. An activation needs one line
// here and one case in pointwise.cuh.
var codes = map[string]Code{
	"relu":       1,
	"gelu":       2,
	"silu":       4,
	"quick_gelu": 5,
	"tanh":       6,
	"exp":        7,
	"sqrt":       8,

	"add":  twoOperands,
	"bias": twoOperands,
	"sub":  twoOperands + 1,
	"mul":  twoOperands + 2,
	"div":  twoOperands + 3,
}

// geluTanh is gelu with the tanh approximation.
const geluTanh Code = 3

// CodeOf is the code of a pointwise operator of float32 and its parameter, 0 if
// it has none. The operator runs both alone and as a stage of a product. ok is
// false for an operator without a code.
func CodeOf(o op.Op) (c Code, param float32, ok bool) {
	if g, is := o.(op.GELU); is && g.Tanh {
		return geluTanh, 0, true
	}
	c, ok = codes[o.Name()]
	return c, 0, ok
}

// Binary reports whether the operator has two operands.
func (c Code) Binary() bool { return c >= twoOperands }
