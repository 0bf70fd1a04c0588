package gorgonia_test

import (
	"fmt"

	"gorgonia.org/gorgonia"

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
