package rpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
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
	b.Run(benchname.Of("round-trip", "grpc"), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Run(b.Context(), call); err != nil {
				b.Fatal(err)
			}
		}
	})
}

const moved = 64 << 20

// BenchmarkUpload is a run with a large input and a small output.
func BenchmarkUpload(b *testing.B) { move(b, "upload", 1) }

// BenchmarkDownload is a run with a large input and an output as large.
func BenchmarkDownload(b *testing.B) { move(b, "download", moved/4) }

// move runs a plan that gives the first n of its many inputs back.
func move(b *testing.B, name string, n int) {
	spec := func(n int) plan.Spec { return plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(n)}} }
	p := &plan.Plan{
		Version: plan.Version, Name: "first",
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Buffer: plan.NoBuffer, Spec: spec(moved / 4)},
			{Kind: plan.KindTemp, Name: "y", Buffer: plan.NoBuffer, Spec: spec(n)},
		},
		Steps: []plan.Step{{
			Op: "slice", In: []int{0}, Out: 1,
			Attrs: plan.Attrs{plan.Int("axis", 0), plan.Dims("start", plan.C(0)), plan.Dims("stop", plan.C(n))},
		}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 1, Place: plan.Download, Cause: plan.CauseActivation}},
	}
	ex := dial(b, workertest.Start(b, nil))
	defer func() { _ = ex.Close() }()
	s, err := ex.NewSession(b.Context())
	require.NoError(b, err)
	ref, err := s.Prepare(b.Context(), p, nil, nil)
	require.NoError(b, err)
	call := transport.Call{Plan: ref, Inputs: []transport.Input{{Data: make([]byte, moved)}}}
	bytes := int64(moved)
	if n > 1 {
		bytes *= 2
	}
	b.Run(benchname.Of(name, "grpc", "size=64MiB"), func(b *testing.B) {
		b.SetBytes(bytes)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Run(b.Context(), call); err != nil {
				b.Fatal(err)
			}
		}
	})
}
