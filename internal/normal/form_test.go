package normal

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

var errDiffer = errors.New("values differ")

// sizes bind the symbols of the programs in tests.
var sizes = plan.Bindings{"b": 2, "t": 5, "s": 3, "past": 4}

// formOf is the normal form of a program, checked: its values are the captured
// program's, every type and shape too, and no rule built something wrong.
func formOf(t *testing.T, g *lazy.Graph) *Form {
	t.Helper()
	require.NoError(t, g.Err())
	f, err := Of(g, nil, nil)
	require.NoError(t, err)
	require.Len(t, f.To, len(g.Tensors()))
	for id, x := range g.Tensors() {
		require.True(t, sameSpec(x.Spec(), f.To[id].Spec()), "%v as %v", x, f.To[id])
		require.Equal(t, f.Graph, f.To[id].Graph())
	}
	require.Empty(t, faultsOf(g))
	sameValues(t, g, f, sizes)
	return f
}

func faultsOf(g *lazy.Graph) []error {
	f := newForming(g, nil, nil)
	for id, x := range g.Tensors() {
		f.tensor(id, x)
	}
	return f.b.faults
}

// text writes the live part of a program: one operator on what it reads.
func text(x *lazy.Tensor) string {
	switch x.Kind() {
	case lazy.KindConst:
		return "const"
	case lazy.KindWeight, lazy.KindInput:
		return x.Name()
	case lazy.KindOp:
	}
	in := make([]string, len(x.In()))
	for i, y := range x.In() {
		in[i] = text(y)
	}
	attrs := ""
	if a := x.Op().Attrs(); len(a) > 0 {
		attrs = "{" + strings.TrimSuffix(strings.ReplaceAll(a.Key(), `"`, ""), ";") + "}"
	}
	return x.Op().Name() + attrs + "(" + strings.Join(in, ", ") + ")"
}

// TestCapturedGraph checks that a program without anything to rewrite stays the
// captured graph itself.
func TestCapturedGraph(t *testing.T) {
	g := lazy.NewGraph("plain")
	x := g.Input("x", lazy.F32, "b", 4)
	g.Output("y", lazy.ReLU(lazy.Linear(x, g.WeightF32("w", make([]float32, 12), 4, 3), g.WeightF32("c", make([]float32, 3), 3))))
	f := formOf(t, g)
	require.Same(t, g, f.Graph)
	require.Equal(t, g.Tensors(), f.To)
}

// TestEqualValues checks that a value that is computed twice becomes one.
func TestEqualValues(t *testing.T) {
	g := lazy.NewGraph("twice")
	x, y := g.Input("x", lazy.F32, "b", 4), g.Input("y", lazy.F32, "b", 4)
	g.Output("one", lazy.ReLU(lazy.Add(x, y)))
	g.Output("two", lazy.ReLU(lazy.Add(y, x)))
	f := formOf(t, g)
	require.Same(t, f.Graph.Outputs()[0].Tensor, f.Graph.Outputs()[1].Tensor)
	require.Len(t, f.Graph.Tensors(), 4)
}
