package worker_test

import "github.com/genie-sdk/go/transport/plan"

// growing is a plan whose state, rows of width values, grows by the rows that
// it is given. Its output is twice the rows present afterwards: all of them or
// only the new ones. Bindings: the number of rows before, and of new rows.
func growing(width int, all bool, place plan.Place) *plan.Plan {
	past, n := plan.Sym("past"), plan.Sym("n")
	rows := func(d plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: plan.Shape{d, plan.C(width)}} }
	doubled, size := 1, n
	if all {
		doubled, size = 2, past.Add(n)
	}
	return &plan.Plan{
		Version: plan.Version, Name: "growing", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindState, Name: "kv", Spec: rows(past), Buffer: plan.NoBuffer},
			{Kind: plan.KindInput, Name: "rows", Spec: rows(n), Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "next", Spec: rows(past.Add(n)), Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "out", Spec: rows(size), Buffer: 0},
		},
		Steps: []plan.Step{
			{Op: "append", Attrs: plan.Attrs{plan.Int("axis", 0)}, In: []int{0, 1}, Out: 2},
			{Op: "add", In: []int{doubled, doubled}, Out: 3},
		},
		Inputs:  []plan.Port{{Name: "rows", Value: 1}},
		Outputs: []plan.Output{{Name: "twice", Value: 3, Place: place, Cause: plan.CauseKV}},
		States:  []plan.State{{Name: "kv", Mode: plan.StateAppend, In: 0, Out: 2}},
	}
}
