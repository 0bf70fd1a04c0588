package checkpoint_test

import (
	"context"
	"fmt"
	"os"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// A family of one layer, loaded from a directory that is written first.
func Example() {
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "family"))
	defer os.RemoveAll(dir)
	err := checkpoint.Write(ctx, dir, map[string]any{"model_type": "line", "size": 2}, weight("layer.weight", lazy.F32, floats(3, 4), 1, 2))
	if err != nil {
		panic(err)
	}

	parse := func(text []byte) (size int, err error) {
		file, err := checkpoint.ParseConfig(text)
		if err != nil {
			return 0, err
		}
		if err := checkpoint.CheckType(file, "line"); err != nil {
			return 0, err
		}
		r := file.Reader()
		r.Int("size", &size)
		return size, r.Err()
	}
	capture := func(files *checkpoint.Model, size int) (*lazy.Tensor, error) {
		g := files.NewGraph("line")
		t := files.Tensors(g, "")
		x := g.Input("x", lazy.F32, "n", size)
		y := g.Output("y", lazy.MatMul(x, t.Weight("layer.weight", 1, size), lazy.TransB))
		return y, t.Err()
	}
	y := must(checkpoint.Load(ctx, dir, checkpoint.Options{Hashes: "off"}, parse, capture))

	client := must(genie.Open(ctx, "local:"))
	defer client.Close()
	session := must(client.NewSession(ctx))
	out := must(session.Run(ctx, genie.Feed{"x": genie.Float32s([]float32{1, 10}, 1, 2)}, y))
	fmt.Println(must(out[0].Float32s(ctx)))
	// Output: [43]
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
