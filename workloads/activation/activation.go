// Package activation defines the activation functions of models by their names
// in transformers (activations.py, ACT2CLS), written in operators that every
// executor has.
package activation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/genie-sdk/go/lazy"
)

// ErrUnknown marks a name that is not an activation of this package.
var ErrUnknown = errors.New("genie: unknown activation")

// Func is an activation, element by element.
type Func func(x *lazy.Tensor) *lazy.Tensor

// functions are those of transformers 5.24 except laplace, prelu, sqrtsoftplus
// and xielu. Names of mathematically equal functions share an entry.
var functions = map[string]Func{
	"gelu":              lazy.GELU,
	"gelu_python":       lazy.GELU,
	"gelu_new":          lazy.GELUTanh,
	"gelu_pytorch_tanh": lazy.GELUTanh,
	"gelu_python_tanh":  lazy.GELUTanh,
	"gelu_accurate":     lazy.GELUTanh,
	"gelu_fast":         lazy.GELUTanh, // its 0.7978845608 is sqrt(2/pi) in float32
	"gelu_10":           func(x *lazy.Tensor) *lazy.Tensor { return atMost(lazy.GELU(x), 10) },
	"quick_gelu":        lazy.QuickGELU,
	"relu":              lazy.ReLU,
	"relu2":             squaredReLU,
	"relu6":             relu6,
	"leaky_relu":        leakyReLU,
	"tanh":              lazy.Tanh,
	"sigmoid":           sigmoid,
	"silu":              lazy.SiLU,
	"swish":             lazy.SiLU,
	"hardswish":         hardSwish,
	"mish":              mish,
	"linear":            lazy.Identity,
}

// Named returns the activation of that name. The error wraps [ErrUnknown] and
// lists the known names.
func Named(name string) (Func, error) {
	f, ok := functions[name]
	if !ok {
		return nil, fmt.Errorf("%w: %.40q; there are %s", ErrUnknown, name, strings.Join(Names(), ", "))
	}
	return f, nil
}

// Names returns the names that [Named] knows, in order.
func Names() []string { return slices.Sorted(maps.Keys(functions)) }

// plus adds a number.
func plus(x *lazy.Tensor, n float32) *lazy.Tensor {
	if x.Err() != nil {
		return x
	}
	return lazy.Add(x, x.Graph().Const([]float32{n}, 1))
}

// atMost is min(x, n), exact where x is below n.
func atMost(x *lazy.Tensor, n float32) *lazy.Tensor { return lazy.Sub(x, lazy.ReLU(plus(x, -n))) }

func squaredReLU(x *lazy.Tensor) *lazy.Tensor {
	y := lazy.ReLU(x)
	return lazy.Mul(y, y)
}

func relu6(x *lazy.Tensor) *lazy.Tensor { return atMost(lazy.ReLU(x), 6) }

// leakyReLU has PyTorch's slope of 0.01 below zero.
func leakyReLU(x *lazy.Tensor) *lazy.Tensor {
	return lazy.Sub(lazy.ReLU(x), lazy.Scale(lazy.ReLU(lazy.Scale(x, -1)), 0.01))
}

func sigmoid(x *lazy.Tensor) *lazy.Tensor {
	if x.Err() != nil {
		return x
	}
	return lazy.Div(x.Graph().Const([]float32{1}, 1), plus(lazy.Exp(lazy.Scale(x, -1)), 1))
}

func hardSwish(x *lazy.Tensor) *lazy.Tensor {
	return lazy.Scale(lazy.Mul(x, relu6(plus(x, 3))), 1.0/6)
}

// mish is x*tanh(log(1+e)) with e = exp(x), which is x*n/(n+2) with n = e(e+2).
// Above 20 it is x, and n would be infinite soon.
func mish(x *lazy.Tensor) *lazy.Tensor {
	e := lazy.Exp(atMost(x, 20))
	n := lazy.Mul(e, plus(e, 2))
	return lazy.Mul(x, lazy.Div(n, plus(n, 2)))
}
