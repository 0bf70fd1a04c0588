package rpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// BenchmarkRoundTrip is a run that does next to nothing.
func BenchmarkRoundTrip(b *testing.B) {
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(1)}}
	p := &plan.Plan{
		Version: plan.Version, Name: "first",
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Buffer: plan.NoBuffer, Spec: spec},
			{Kind: plan.KindTemp, Name: "y", Buffer: plan.NoBuffer, Spec: spec},
		},
		Steps:   []plan.Step{{Op: "identity", In: []int{0}, Out: 1}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 1, Place: plan.Download, Cause: plan.CauseActivation}},
	}
	ex := dial(b, workertest.Start(b, nil))
	defer func() { _ = ex.Close() }()
	s, err := ex.NewSession(b.Context())
	require.NoError(b, err)
	ref, err := s.Prepare(b.Context(), p, nil, nil)
	require.NoError(b, err)
	call := transport.Call{Plan: ref, Inputs: []transport.Input{{Data: make([]byte, 4)}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Run(b.Context(), call); err != nil {
			b.Fatal(err)
		}
	}
}
