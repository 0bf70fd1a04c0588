// Package lazy captures a program as lazy tensors on a Gorgonia graph.
//
// A [Tensor] is a handle on a node of the graph: element type and shape, no data.
// Calling an operator adds a node and infers type and shape, symbolic
// dimensions included; nothing is computed before a value is asked for.
//
//	g := lazy.NewGraph("mlp")
//	x := g.Input("x", lazy.F32, "batch", 784)
//	w := g.WeightF32("w", data, 784, 10)
//	y := g.Output("y", lazy.Softmax(lazy.MatMul(x, w), -1))
//	if err := y.Err(); err != nil { ... }
//
// # Errors
//
// A wrong program never panics. The first error sticks to the tensor, with the
// operator, the shapes and the caller's file and line ([CaptureError]), passes
// to everything computed from it, and comes back from [Tensor.Err] and from a
// run.
//
// # Gorgonia
//
// Package lazy/gorgonia gives the Gorgonia graph below, graphs with concrete shapes
// for ToDot and Gorgonia's machines, and programs in Gorgonia's own operators. No
// type of Gorgonia is in the API of this package.
package lazy
