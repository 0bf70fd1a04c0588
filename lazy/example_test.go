package lazy_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/genie-sdk/go/lazy"
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
