package semantic_test

import (
	"fmt"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
)

// swish is a policy that computes x/(1+exp(-x)) by one operator and retains
// only large weights on the executor.
func swish() semantic.Policy {
	is := func(v *semantic.Value, operator string) bool { return v.Op() != nil && v.Op().Name() == operator }
	return semantic.Rules{
		Features: semantic.Features{Label: "swish", Weights: true},
		Rewrite: func(g *semantic.Rewriter) error {
			for _, v := range g.Values() {
				if !is(v, "div") || !is(v.In()[1], "add") {
					continue
				}
				silu, err := g.Insert("silu", nil, v.In()[0])
				if err != nil {
					return err
				}
				if err := g.Replace(v, silu); err != nil { // both are computed and compared
					return err
				}
			}
			return nil
		},
		KeepWeight: func(w *lazy.Tensor) bool {
			n, _ := w.Shape().Elements().Const()
			return n >= 1000
		},
	}
}

func ExampleRules() {
	g := lazy.NewGraph("layer")
	x := lazy.MatMul(g.Input("x", lazy.F32, "rows", 4), g.WeightF32("w", make([]float32, 16), 4, 4))
	one := g.Const([]float32{1}, 1)
	g.Output("y", lazy.Div(x, lazy.Add(one, lazy.Exp(lazy.Scale(x, -1)))))

	srg, err := semantic.Analyze(g)
	if err != nil {
		fmt.Println(err)
		return
	}
	request := semantic.Request{Outputs: g.Outputs()}
	schedule, err := swish().Schedule(srg, request)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, step := range schedule.Plan.Steps {
		fmt.Println(step.Op)
	}
	for i, in := range schedule.Plan.Inputs {
		fmt.Println(in.Name, schedule.Inputs[i].Cause)
	}
	fmt.Println(schedule.Check(srg, request))
	// Output:
	// matmul
	// silu
	// x activation
	// weight:w weights
	// <nil>
}

func ExampleTraitsOf() {
	g := lazy.NewGraph("traits")
	x := g.Input("x", lazy.F32, "rows", 4)
	for _, y := range []*lazy.Tensor{lazy.SiLU(x), lazy.Add(x, x), lazy.Transpose(x, 1, 0), lazy.Softmax(x, -1)} {
		t, err := semantic.TraitsOf(y.Op())
		fmt.Println(y.Op().Name(), t.Class, t.Pointwise, t.Moves, err)
	}
	// Output:
	// silu elementwise true false <nil>
	// add elementwise true false <nil>
	// transpose copy false true <nil>
	// softmax norm false false <nil>
}
