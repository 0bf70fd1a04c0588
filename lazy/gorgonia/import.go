package gorgonia

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Imported is a captured program that came from a Gorgonia graph. Its Outputs
// are the nodes given to [Import], in their order.
type Imported struct {
	*lazy.Graph

	tensors map[*gorgonia.Node]*lazy.Tensor
}

// Tensor is the captured tensor of a node that the outputs need; nil for any
// other node, and for one that became part of another operator, such as the
// columns of a convolution.
func (p *Imported) Tensor(n *gorgonia.Node) *lazy.Tensor { return p.tensors[n] }

// Import captures the part of a Gorgonia graph that outputs need. The graph is
// left as it is, and Gorgonia computes nothing:
//
//	p, err := gorgonia.Import(g, upstream.Nodes{probabilities}, gorgonia.WithInput(x, "x", "batch", 784))
//	...
//	out, err := session.Run(ctx, genie.Feed{"x": rows}, p.Outputs()[0].Tensor)
//
// # Leaves
//
// A leaf without a value is an input under its node's name. So is a leaf given
// by [WithInput], which may also rename it and name its dimensions. Every other
// leaf is a weight: its value is copied at import, so that training may continue
// on the graph. Element types are float32, int, int32, int64, and bool for
// inputs; float64 is [lazy.ErrDType] unless [NarrowFloat64] is given.
//
// Outputs have the names of their nodes, or output.0, output.1 and so on where a
// node has none of its own.
//
// # Dimensions
//
// Shapes in Gorgonia are numbers. A dimension that [WithInput] names is symbolic
// in the program and follows from the input through every operator, also where
// the graph has a number in a reshape, a mean or a broadcast. A reshape that
// leaves two places for a named dimension is refused; give that dimension a size
// in the Gorgonia graph that occurs nowhere else.
//
// # Operators
//
// An operator that cannot be imported is a [*ImportError], which names it and
// wraps [ErrNotImported]. Not imported are operators without a counterpart: the
// logarithms (log, log2, log1p, softplus and LogSoftMax), sin, cos, a power
// whose exponent is not one of the constants 0.5, 1, 2, 3, 4, -0.5, -1 and -2,
// sparsemax, YOLO and CTC; average pooling with padding; random nodes, and dropout that
// trains (see [ForInference]); statements such as Read; the operators that
// compute gradients; and operators of other packages. A graph may contain any of
// them outside of what the outputs need.
//
// # Where Gorgonia is wrong
//
// The program computes what the graph says. The results of Gorgonia's own
// machines differ where gorgonia v0.9.18 is wrong: SoftMax of a row far from the
// first element of the tensor is NaN there; AveragePool2D divides by the width
// of the image in place of the size of the window; sums and maxima over an axis
// that is neither of the first two nor the last read other elements; an elementwise operator
// overwrites memory that a reshape shares; leaves with equal 32-bit hashes are
// taken for one another; BatchedMatMul of two matrices does not end. What
// Gorgonia merges while the graph is built is lost before Import sees it: two
// leaves of one name and shape, SoftMax and LogSoftMax of one node, slices whose
// bounds agree modulo 256.
func Import(g *gorgonia.ExprGraph, outputs gorgonia.Nodes, opts ...ImportOption) (p *Imported, err error) {
	im := newImporter(g)
	for _, o := range opts {
		if o != nil {
			o.apply(&im.opts)
		}
	}
	defer func() { // values and operators from outside may panic when asked
		if r := recover(); r != nil {
			p, err = nil, im.fault(im.at, fmt.Errorf("panic: %v", r))
		}
	}()
	if err := im.run(outputs); err != nil {
		return nil, err
	}
	return &Imported{Graph: im.g, tensors: im.tensors}, nil
}

// ImportOption configures [Import].
type ImportOption interface{ apply(o *importOptions) }

type importOption func(o *importOptions)

func (f importOption) apply(o *importOptions) { f(o) }

type importOptions struct {
	inputs    []declaredInput
	narrow    bool
	inference bool
}

type declaredInput struct {
	node *gorgonia.Node
	name string
	dims []any
}

// WithInput makes a node an input, even if it has a value; one that an operator
// computes, such as a random node, is cut off from what is before it. The name is
// that of the input; empty stands for the name of the node. Dimensions, if given, are as
// in [lazy.Graph.Input]: ints, strings that name symbols, or [plan.Dim] values.
// They must agree with the node's shape, and one name must stand for one size.
func WithInput(n *gorgonia.Node, name string, dims ...any) ImportOption {
	return importOption(func(o *importOptions) { o.inputs = append(o.inputs, declaredInput{n, name, dims}) })
}

// NarrowFloat64 converts float64 to float32: weights and constants are rounded
// at import, and inputs of float64 become inputs of float32. A finite number
// that float32 cannot hold is [lazy.ErrDType]. Without this option float64 is
// refused.
func NarrowFloat64() ImportOption { return importOption(func(o *importOptions) { o.narrow = true }) }

// ForInference imports layers that behave differently in training as they are in
// inference: dropout does nothing, and batch normalisation uses its running
// statistics. Without it a layer is imported in the mode that it is in: batch
// normalisation that trains uses the statistics of the batch, and dropout that
// trains is refused because it is random.
func ForInference() ImportOption { return importOption(func(o *importOptions) { o.inference = true }) }

// maxImported bounds the nodes that outputs may need: a larger program would
// have more steps than any plan.
const maxImported = plan.MaxSteps
