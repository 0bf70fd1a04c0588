package genie_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
)

// The shapes of what is fed say how large symbolic dimensions are: here "rows" is
// that of x and of bias, which must agree. Another size needs no other plan.
func ExampleFeed() {
	ctx := context.Background()
	client := must(genie.Open(ctx, "local:"))
	defer client.Close()
	session := must(client.NewSession(ctx))

	g := lazy.NewGraph("sizes")
	x := g.Input("x", lazy.F32, "rows", 2)
	bias := g.Input("bias", lazy.F32, "rows", 1)
	y := lazy.Add(x, bias)

	for rows := 1; rows <= 2; rows++ {
		out := must(session.Run(ctx, genie.Feed{
			"x":    genie.Float32s(make([]float32, 2*rows), rows, 2),
			"bias": genie.Float32s(make([]float32, rows), rows, 1),
		}, y))
		fmt.Println(out[0].Shape())
	}
	_, err := session.Run(ctx, genie.Feed{
		"x":    genie.Float32s(make([]float32, 4), 2, 2),
		"bias": genie.Float32s(make([]float32, 3), 3, 1),
	}, y)
	fmt.Println(errors.Is(err, genie.ErrShape))
	// Output:
	// [1 2]
	// [2 2]
	// true
}

// counter is a program that counts its runs.
func counter() *lazy.Tensor {
	g := lazy.NewGraph("counter")
	n := g.Input("n", lazy.F32, 1)
	next := lazy.Add(n, g.Const([]float32{1}, 1))
	g.Carry(n, next)
	return next
}

// A session carries values from run to run, of each graph its own. Graphs that name
// their state share it.
func ExampleSession() {
	ctx := context.Background()
	client := must(genie.Open(ctx, "local:"))
	defer client.Close()
	session := must(client.NewSession(ctx))
	defer session.Close()
	count := func(y *lazy.Tensor) float32 {
		return must(must(session.Run(ctx, nil, y))[0].Float32s(ctx))[0]
	}

	first, second := counter(), counter()
	fmt.Println(count(first), count(first), count(second))

	third, fourth := counter(), counter()
	third.Graph().ShareState("visits")
	fourth.Graph().ShareState("visits")
	fmt.Println(count(third), count(fourth))

	if err := session.Reset(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(count(first), count(fourth))
	// Output:
	// 1 2 1
	// 1 2
	// 1 1
}

// A retained result stays on the executor and can be fed to a run there; it is
// fetched when it is first read. It may be fed to other sessions and clients,
// too.
func ExampleSession_RunRetain() {
	ctx := context.Background()
	client := must(genie.Open(ctx, "local:"))
	defer client.Close()
	session, other := must(client.NewSession(ctx)), must(client.NewSession(ctx))

	g := lazy.NewGraph("double")
	x := g.Input("x", lazy.F32, "n")
	y := lazy.Add(x, x)

	v := genie.Float32s([]float32{1, 2, 3}, 3)
	for range 3 {
		v = must(session.RunRetain(ctx, genie.Feed{"x": v}, y))[0]
	}
	fmt.Println(v.Remote(), must(v.Float32s(ctx)))
	fmt.Println(must(must(other.Run(ctx, genie.Feed{"x": v}, y))[0].Float32s(ctx)))
	// Output:
	// true [8 16 24]
	// [16 32 48]
}
