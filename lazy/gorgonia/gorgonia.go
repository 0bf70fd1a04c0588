// Package gorgonia connects programs of package lazy with graphs of Gorgonia.
// Its API uses types of gorgonia.org; that of lazy does not.
//
// [Captured] and [Node] return the graph that a program is captured on. Shapes
// in Gorgonia are numbers, so symbolic dimensions are placeholders there.
// [Instantiate] returns a graph with concrete shapes for ToDot and Gorgonia's
// machines:
//
//	inst, err := gorgonia.Instantiate(g, plan.Bindings{"batch": 2})
//	err = inst.Feed(x, input)
//	m := upstream.NewTapeMachine(inst.ExprGraph) // gorgonia.org/gorgonia
//	err = m.RunAll()
//	y, err := inst.Value(out)
//
// It runs the reference kernels, so it is an oracle. Values of size zero (an
// empty cache) pass through those machines, but Gorgonia's own Value.Data
// panics on them: read with [Instance.Value]. [LowerStock] expresses a program
// in Gorgonia's own operators instead.
//
// The other way round, [Import] captures a program that was written with
// Gorgonia, with its weights, as it is:
//
//	p, err := gorgonia.Import(expr, upstream.Nodes{y}, gorgonia.WithInput(x, "x", "batch", 784))
//	out, err := session.Run(ctx, genie.Feed{"x": rows}, p.Outputs()[0].Tensor)
package gorgonia

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Captured is the Gorgonia graph that a program is captured on.
func Captured(g *lazy.Graph) *gorgonia.ExprGraph { return lazygraph.Expr(g) }

// Node is t's node of [Captured]; nil for the nil tensor and for one with an error.
func Node(t *lazy.Tensor) *gorgonia.Node {
	if t == nil {
		return nil
	}
	return lazygraph.Node(t)
}

// check finds what is wrong with t as a tensor of g.
func check(g *lazy.Graph, t *lazy.Tensor) error {
	if err := t.Err(); err != nil {
		return err
	}
	if t.Graph() != g {
		return fmt.Errorf("%w: tensors of two graphs", lazy.ErrCapture)
	}
	return nil
}

func weightHash(t *lazy.Tensor) plan.Hash {
	h, _ := t.WeightRef()
	return h
}
