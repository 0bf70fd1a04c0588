package worker_test

import (
	"encoding/binary"
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// The plans that sequences of messages are about.
const (
	planCounter = iota // sum += x + w, and a value is retained
	planTokens         // acc += x, and says acc: what a loop repeats
	planGrowing        // a cache of rows of two
	planAbsent         // no client has its weight
	planUpload         // its weight goes when it is unused; only resumeUpload brings it
	planKinds
)

// known is a plan with what a client knows of it.
type known struct {
	p       *plan.Plan
	hash    plan.Hash
	encoded []byte
	weights transport.Weights
}

// machinePlans makes the plans, in variants that differ by name.
func machinePlans(variants int) [][]known {
	counter, weights := counter()
	absent := *counter
	absent.Values = append([]plan.Value(nil), counter.Values...)
	absent.Values[1].Hash = plan.Hash{1, 2, 3}
	brought := *counter
	brought.Values = append([]plan.Value(nil), counter.Values...)
	brought.Values[1].Hash = transport.HashWeight(plan.F32, []int{2}, broughtWeight())
	all := make([][]known, planKinds)
	for kind, p := range []*plan.Plan{counter, tokens(), growing(2, true, plan.Download), &absent, &brought} {
		for i := range variants {
			q := *p
			q.Name = fmt.Sprintf("%s%d.%d", p.Name, kind, i)
			k := known{p: &q, weights: transport.Weights{}}
			if kind == planCounter {
				k.weights = weights
			}
			var err error
			if k.encoded, err = q.Encode(); err != nil {
				panic(err)
			}
			k.hash = q.Hash()
			all[kind] = append(all[kind], k)
		}
	}
	return all
}

// broughtWeight is the content of the weight of planUpload.
func broughtWeight() []byte { return floats(3, -5) }

// tokens is a plan that a loop can repeat: acc += x, where x is an index.
func tokens() *plan.Plan {
	one := plan.Shape{plan.C(1)}
	f, i := plan.Spec{DType: plan.F32, Shape: one}, plan.Spec{DType: plan.I32, Shape: one}
	return &plan.Plan{
		Version: plan.Version, Name: "tokens", Buffers: 3,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: i, Buffer: plan.NoBuffer},
			{Kind: plan.KindState, Name: "acc", Spec: f, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "wide", Spec: f, Buffer: 0},
			{Kind: plan.KindTemp, Name: "next", Spec: f, Buffer: 1},
			{Kind: plan.KindTemp, Name: "token", Spec: i, Buffer: 2},
		},
		Steps: []plan.Step{
			{Op: "cast", Attrs: plan.Attrs{plan.Int("to", int(plan.F32))}, In: []int{0}, Out: 2},
			{Op: "add", In: []int{1, 2}, Out: 3},
			{Op: "cast", Attrs: plan.Attrs{plan.Int("to", int(plan.I32))}, In: []int{3}, Out: 4},
		},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "token", Value: 4, Place: plan.Download, Cause: plan.CauseToken}},
		States:  []plan.State{{Name: "acc", Mode: plan.StateReplace, In: 1, Out: 3}},
	}
}

func int32s(v ...int32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b
}
