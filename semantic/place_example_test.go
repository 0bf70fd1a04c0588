package semantic_test

import (
	"fmt"
	"time"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// lastAlone is a placement of a third party: the last unit, such as a classifier,
// runs on the last device, and everything else on the first.
type lastAlone struct{}

func (lastAlone) Name() string { return "last-alone" }

func (lastAlone) Place(in semantic.PlaceInput) (semantic.Placed, error) {
	devices := len(in.Cluster.Devices)
	of, why := make([]int, len(in.Units)), make([]string, devices)
	why[0] = "everything but the last unit"
	if n := len(of); n > 0 && devices > 1 {
		of[n-1] = devices - 1
		why[devices-1] = fmt.Sprintf("the last of %d units", n)
	}
	return in.Placed(of, why), nil
}

func ExamplePlacement() {
	g := lazy.NewGraph("classifier")
	x := g.Input("x", lazy.F32, "rows", 4)
	h := lazy.ReLU(lazy.MatMul(x, g.WeightF32("layer", make([]float32, 16), 4, 4)))
	g.Output("y", lazy.Softmax(lazy.MatMul(h, g.WeightF32("head", make([]float32, 12), 4, 3)), -1))
	srg, err := semantic.Analyze(g)
	if err != nil {
		fmt.Println(err)
		return
	}
	request := semantic.Request{
		Cluster:   semantic.UniformCluster(2, semantic.ReferenceDevice(), semantic.Link{Rate: 1e9, Delay: 50 * time.Microsecond, Direct: true}),
		Placement: lastAlone{},
		Sizes:     plan.Bindings{"rows": 2},
	}
	schedule, err := semantic.Full().Schedule(srg, request)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, step := range schedule.Plan.Steps {
		fmt.Println(step.Op, schedule.Placed.Device[i])
	}
	for _, e := range schedule.Placed.Predicted.Edges {
		fmt.Printf("from %d to %d: %v bytes\n", e.From, e.To, e.Bytes)
	}
	fmt.Println(schedule.Check(srg, request))
	// Output:
	// matmul 0
	// relu 0
	// matmul 0
	// softmax 1
	// from -1 to 0: 32 bytes
	// from 0 to 1: 24 bytes
	// from 1 to -1: 24 bytes
	// <nil>
}

// A cache of 36 MB moves over fast links, and is computed anew from 4 kB of tokens
// over slow ones.
func ExampleMoveRegimes() {
	cache := semantic.MoveInput{Bytes: 36e6, Ancestors: []semantic.Ancestor{{Bytes: 4e3, Seconds: 0.5}}}
	for _, r := range semantic.MoveRegimes(cache, 10e6/8, 10e9/8) {
		fmt.Printf("%.0f to %.0f Mbit/s: %v\n", r.From*8/1e6, r.To*8/1e6, r.Move)
	}
	// Output:
	// 10 to 576 Mbit/s: recompute
	// 576 to 10000 Mbit/s: send
}
