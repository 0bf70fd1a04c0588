package gorgonia_test

import (
	"context"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Gorgonia's TapeMachine runs a program whose dimensions are bound.
func ExampleInstantiate() {
	g := lazy.NewGraph("sum")
	x := g.Input("x", lazy.F32, "n")
	y := g.Output("y", lazy.Scale(x, 2))
	inst, err := lazygorgonia.Instantiate(g, plan.Bindings{"n": 2})
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
func ExampleLowerStock() {
	g := lazy.NewGraph("norm")
	x := g.Input("x", lazy.F32, "rows", 2)
	y := g.Output("y", lazy.LayerNorm(x, g.Const([]float32{1, 1}, 2), g.Const([]float32{0, 0}, 2), 1e-5))
	p, err := lazygorgonia.LowerStock(g, plan.Bindings{"rows": 1})
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

// Import captures a classifier that was written with Gorgonia for two rows; as a
// captured program it runs for any number of them, here or on a worker.
func ExampleImport() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, gorgonia.Float32, gorgonia.WithShape(2, 3), gorgonia.WithName("x"))
	w := gorgonia.NewMatrix(g, gorgonia.Float32, gorgonia.WithShape(3, 2), gorgonia.WithName("w"), gorgonia.WithValue(
		tensor.New(tensor.WithShape(3, 2), tensor.WithBacking([]float32{1, -1, 0, 1, 2, 0}))))
	y := gorgonia.Must(gorgonia.SoftMax(gorgonia.Must(gorgonia.Mul(x, w)), 1))

	p, err := lazygorgonia.Import(g, gorgonia.Nodes{y}, lazygorgonia.WithInput(x, "x", "rows", 3))
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := run(p.Outputs()[0].Tensor, genie.Feed{"x": genie.Float32s([]float32{1, 2, 3, 0, 2, 0, 1, 1, 1}, 3, 3)})
	fmt.Printf("%.3f %v\n", out, err)
	// Output: [0.998 0.002 0.119 0.881 0.953 0.047] <nil>
}

// run computes a tensor in this process.
func run(y *lazy.Tensor, feed genie.Feed) ([]float32, error) {
	ctx := context.Background()
	client, err := genie.Open(ctx, "local:")
	if err != nil {
		return nil, err
	}
	defer client.Close()
	session, err := client.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	out, err := session.Run(ctx, feed, y)
	if err != nil {
		return nil, err
	}
	return out[0].Float32s(ctx)
}
