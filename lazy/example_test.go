package lazy_test

import (
	"errors"
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// A program is captured once for every batch size.
func Example() {
	g := lazy.NewGraph("mlp")
	x := g.Input("x", lazy.F32, "batch", 3)
	w := g.WeightF32("w", []float32{1, 2, 3, 4, 5, 6}, 3, 2)
	y := g.Output("y", lazy.Softmax(lazy.MatMul(x, w), -1))
	fmt.Println(y.Spec(), y.Err())
	// Output: f32[batch, 2] <nil>
}

// A wrong program gives an error that names the operator and the shapes.
func ExampleTensor_Err() {
	g := lazy.NewGraph("wrong")
	x := g.Input("x", lazy.F32, "batch", 3)
	y := lazy.Tanh(lazy.MatMul(x, x))
	err := y.Err()
	fmt.Println(errors.Is(err, lazy.ErrShape))
	_, text, _ := strings.Cut(err.Error(), ": ") // after the file and line
	fmt.Println(text)
	// Output:
	// true
	// matmul(f32[batch, 3], f32[batch, 3]): genie: shape mismatch: matmul of [batch, 3] and [batch, 3]: inner dimensions 3 and batch
}

// A cache grows by concatenation; the pair is declared as carried.
func ExampleGraph_Carry() {
	g := lazy.NewGraph("cache")
	past := g.Input("past", lazy.F32, "batch", "past", 4)
	rows := g.Input("rows", lazy.F32, "batch", "seq", 4)
	next := lazy.Concat(1, past, rows)
	g.Carry(past, next)
	fmt.Println(next.Shape(), g.Err())
	// Output: [batch, past+seq, 4] <nil>
}

// Gorgonia's TapeMachine runs a program whose dimensions are bound.
func ExampleGraph_Instantiate() {
	g := lazy.NewGraph("sum")
	x := g.Input("x", lazy.F32, "n")
	y := g.Output("y", lazy.Scale(x, 2))
	inst, err := g.Instantiate(plan.Bindings{"n": 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := inst.Feed(x, transport.Tensor{DType: lazy.F32, Shape: []int{2}, Data: []byte{0, 0, 128, 63, 0, 0, 0, 64}}); err != nil {
		fmt.Println(err)
		return
	}
	m := gorgonia.NewTapeMachine(inst.ExprGraph)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(inst.Node(y).Value())
	// Output: [2  4]
}

// LowerStock gives the same program in Gorgonia's own operators.
func ExampleGraph_LowerStock() {
	g := lazy.NewGraph("norm")
	x := g.Input("x", lazy.F32, "rows", 2)
	y := g.Output("y", lazy.LayerNorm(x, g.Const([]float32{1, 1}, 2), g.Const([]float32{0, 0}, 2), 1e-5))
	p, err := g.LowerStock(plan.Bindings{"rows": 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	if err := p.Feed(x, transport.Tensor{DType: lazy.F32, Shape: []int{1, 2}, Data: []byte{0, 0, 128, 63, 0, 0, 64, 64}}); err != nil {
		fmt.Println(err)
		return
	}
	if err := p.Run(); err != nil {
		fmt.Println(err)
		return
	}
	v, err := p.Value(y)
	fmt.Println(v.DType, v.Shape, len(v.Data), err)
	// Output: f32 [1 2] 8 <nil>
}
