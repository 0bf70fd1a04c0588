package custom_test

import (
	"context"
	"fmt"
	"math"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
)

// An operator of one's own: x / (1 + |x|), in a program and in this process.
func Example() {
	softSign := custom.Operator{
		Name:  "soft_sign",
		Infer: func(_ plan.Attrs, in []plan.Spec) (plan.Spec, error) { return in[0], nil },
		Eval: func(c custom.Call) error {
			x, y := c.In[0].Float32s(), c.Out.Float32s()
			for i := range y {
				y[i] = x[i] / (1 + float32(math.Abs(float64(x[i]))))
			}
			return nil
		},
	}
	g := lazy.NewGraph("soft sign")
	x := g.Input("x", lazy.F32, "n")
	y := g.Output("y", lazy.Custom(softSign, nil, lazy.Scale(x, 2)))

	table, err := custom.NewTable(softSign)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	ex, err := local.Open(local.WithOperators(table))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = ex.Close() }()
	s, err := genie.NewClient(ex).NewSession(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	out, err := s.Run(ctx, genie.Feed{"x": genie.Float32s([]float32{0, 0.5, -1.5}, 3)}, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := out[0].Float32s(ctx)
	fmt.Println(v, err)
	// Output: [0 0.5 -0.75] <nil>
}
