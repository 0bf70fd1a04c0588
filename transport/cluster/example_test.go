package cluster_test

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/cluster"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
)

// A plan whose two steps are placed on two members: y = (x + x) * x.
func Example() {
	var members []cluster.Member
	for _, name := range []string{"a", "b"} {
		ex, err := local.Open(local.WithThreads(1))
		if err != nil {
			fmt.Println(err)
			return
		}
		members = append(members, cluster.Member{Name: name, Executor: ex})
	}
	ex, err := cluster.New(members)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = ex.Close() }()

	spec := plan.Spec{DType: plan.I32, Shape: plan.Shape{plan.Sym("n")}}
	p := &plan.Plan{
		Version: plan.Version, Name: "two devices", Buffers: 2,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "twice", Spec: spec, Buffer: 0},
			{Kind: plan.KindTemp, Name: "y", Spec: spec, Buffer: 1},
		},
		Steps: []plan.Step{
			{Op: "add", In: []int{0, 0}, Out: 1},
			{Op: "mul", In: []int{1, 0}, Out: 2, Device: 1},
		},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 2, Place: plan.Download, Cause: plan.CauseActivation}},
	}
	ctx := context.Background()
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
	x := binary.LittleEndian.AppendUint32(nil, 5)
	res, err := s.Run(ctx, transport.Call{Plan: ref, Bindings: []int{1}, Inputs: []transport.Input{{Data: x}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(binary.LittleEndian.Uint32(res.Outputs[0].Tensor.Data))
	// Output: 50
}
