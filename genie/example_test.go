package genie_test

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
)

// A classifier of one layer, for any number of rows. With the URL of a worker
// the same program runs there. README.md shows this program; a test in
// internal/lint compares the two.
func Example() {
	ctx := context.Background()
	client := must(genie.Open(ctx, "local:")) // or "tcp://host:7070", "grpc://host:7071"
	defer client.Close()
	session := must(client.NewSession(ctx))

	g := lazy.NewGraph("classifier")
	x := g.Input("x", lazy.F32, "rows", 3)
	w := g.WeightF32("w", []float32{1, -1, 0, 1, 2, 0}, 3, 2)
	y := lazy.Softmax(lazy.MatMul(x, w), -1)

	rows := genie.Float32s([]float32{1, 2, 3, 0, 2, 0}, 2, 3)
	out := must(session.Run(ctx, genie.Feed{"x": rows}, y))
	fmt.Printf("%.3f of shape %v\n", must(out[0].Float32s(ctx)), out[0].Shape())
	// Output: [0.998 0.002 0.119 0.881] of shape [2 2]
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
