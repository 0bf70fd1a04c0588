package onnx_test

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy/onnx"
)

// A model runs on an executor like any other captured program.
func Example() {
	if err := addmm(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: [2, 4] [7 8 9 10 7 8 9 10]
}

func addmm(ctx context.Context) error {
	p, err := onnx.Open(ctx, filepath.Join("testdata", "backend", "pytorch-operator", "test_operator_addmm", "model.onnx"))
	if err != nil {
		return err
	}
	defer p.Close()
	client, err := genie.Open(ctx, "local:")
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	ones := func(shape ...int) *genie.Value {
		return genie.Float32s([]float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}[:shape[0]*shape[len(shape)-1]], shape...)
	}
	out, err := session.Run(ctx, genie.Feed{"0": ones(2, 3), "1": ones(3, 4), "2": genie.Float32s([]float32{1, 2, 3, 4}, 4)}, p.Output("4"))
	if err != nil {
		return err
	}
	values, err := out[0].Float32s(ctx)
	if err != nil {
		return err
	}
	fmt.Println(p.Output("4").Shape(), values)
	return nil
}
