package onnx

import (
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Option configures [Open] and [Read].
type Option interface{ apply(o *options) }

type option func(o *options)

func (f option) apply(o *options) { f(o) }

type options struct {
	name        string
	dims        map[string]plan.Dim
	shapes      map[string][]any
	values      map[string]transport.Tensor
	shapeValues map[string]transport.Tensor
	inputs      map[string]bool
	carries     [][2]string
	noCarries   bool
	progress    transport.Progress
}

func newOptions(opts []Option) *options {
	o := &options{
		dims: map[string]plan.Dim{}, shapes: map[string][]any{}, values: map[string]transport.Tensor{},
		shapeValues: map[string]transport.Tensor{}, inputs: map[string]bool{},
	}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(o)
		}
	}
	return o
}

// WithName sets the label of the program. The default is the name of the model's
// graph.
func WithName(name string) Option { return option(func(o *options) { o.name = name }) }

// WithDim says what a dimension that the model names is: [plan.C] for one size,
// [plan.Sym] for another symbol, or an expression. By default each name is a
// symbol of its own.
func WithDim(param string, d plan.Dim) Option {
	return option(func(o *options) { o.dims[param] = d })
}

// WithInput sets the shape of an input, in place of what the model declares.
// Dimensions are as in [lazy.Graph.Input]: ints, strings that name symbols, or
// [plan.Dim] values.
func WithInput(name string, dims ...any) Option {
	return option(func(o *options) { o.shapes[name] = dims })
}

// WithValue gives an input its content: it is a weight of the program, and no
// input. The content is not copied.
func WithValue(name string, t transport.Tensor) Option {
	return option(func(o *options) { o.values[name] = t })
}

// WithShapeValue gives the content that an input has if a shape depends on it, such
// as the operand of Reshape. The input is then a constant, see [Program.Fixed]; the
// program computes what the model computes for this content. An input that no shape
// depends on stays one.
func WithShapeValue(name string, t transport.Tensor) Option {
	return option(func(o *options) { o.shapeValues[name] = t })
}

// WithOverride makes an initialiser that the model also lists as an input an
// input of the program. By default it is a weight.
func WithOverride(names ...string) Option {
	return option(func(o *options) {
		for _, n := range names {
			o.inputs[n] = true
		}
	})
}

// WithCarry declares a carried pair: the output's value after one run is the input's
// in the next run of the session (see [lazy.Graph.Carry]).
func WithCarry(input, output string) Option {
	return option(func(o *options) { o.carries = append(o.carries, [2]string{input, output}) })
}

// WithoutCarries declares only the pairs of [WithCarry]. By default pairs that follow
// the exporters' convention are carried as well: past_key_values.N.key and
// present.N.key, past_N and present_N, and the like.
func WithoutCarries() Option { return option(func(o *options) { o.noCarries = true }) }

// WithProgress sets a function that is called with the number of bytes of weights
// hashed. The default reports nothing.
func WithProgress(p transport.Progress) Option {
	return option(func(o *options) { o.progress = p })
}
