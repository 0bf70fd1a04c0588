package local_test

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
)

// A plan by hand: y = x + x for any length of x, here 1 and 2.
func Example() {
	n := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.Sym("n")}}
	p := &plan.Plan{
		Version: plan.Version, Name: "double", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: n, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "y", Spec: n, Buffer: 0},
		},
		Steps:   []plan.Step{{Op: "add", In: []int{0, 0}, Out: 1}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 1, Place: plan.Download, Cause: plan.CauseActivation}},
	}
	ctx := context.Background()
	ex, err := local.Open()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = ex.Close() }()
	s, err := ex.NewSession(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	ref, err := s.Prepare(ctx, p, nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := s.Run(ctx, transport.Call{
		Plan: ref, Bindings: []int{2}, Inputs: []transport.Input{{Data: binary.LittleEndian.AppendUint64(nil, 0x40000000_3f800000)}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v %x\n", res.Outputs[0].Tensor.Shape, res.Outputs[0].Tensor.Data)
	// Output: [2] 0000004000008040
}
