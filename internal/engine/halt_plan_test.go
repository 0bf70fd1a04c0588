package engine

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// steps makes a plan step by step.
type steps struct {
	t testing.TB
	p *plan.Plan
}

func newSteps(t testing.TB) *steps {
	return &steps{t, &plan.Plan{Version: plan.Version, Name: "steps"}}
}

func (s *steps) value(v plan.Value) int {
	s.p.Values = append(s.p.Values, v)
	return len(s.p.Values) - 1
}

func (s *steps) input(dt plan.DType, shape ...int) int {
	v := s.value(plan.Value{Kind: plan.KindInput, Spec: plan.Spec{DType: dt, Shape: op.Static(shape)}, Buffer: plan.NoBuffer})
	s.p.Inputs = append(s.p.Inputs, plan.Port{Name: string(rune('a' + len(s.p.Inputs))), Value: v})
	return v
}

func (s *steps) f32(shape ...int) int { return s.input(plan.F32, shape...) }

// weight is a weight of zeros.
func (s *steps) weight(storage plan.DType, shape ...int) int {
	n := storage.Size()
	for _, d := range shape {
		n *= d
	}
	return s.value(plan.Value{
		Kind: plan.KindWeight, Name: "w", Spec: plan.Spec{DType: plan.F32, Shape: op.Static(shape)}, Storage: storage,
		Hash: transport.HashWeight(storage, shape, make([]byte, n)), Buffer: plan.NoBuffer,
	})
}

func (s *steps) scalar(v float32) int {
	return s.value(plan.Value{Kind: plan.KindConst, Spec: plan.Spec{DType: plan.F32}, Const: f32(v), Buffer: plan.NoBuffer})
}

func (s *steps) state(mode plan.StateMode, in, out int) {
	s.p.States = append(s.p.States, plan.State{Name: "state", Mode: mode, In: in, Out: out})
}

func (s *steps) op(o op.Op, in ...int) int {
	specs := make([]plan.Spec, len(in))
	for i, v := range in {
		specs[i] = s.p.Values[v].Spec
	}
	spec, err := o.Infer(specs)
	require.NoError(s.t, err, o.Name())
	out := s.value(plan.Value{Kind: plan.KindTemp, Spec: spec, Buffer: plan.NoBuffer})
	s.p.Steps = append(s.p.Steps, plan.Step{Op: o.Name(), Attrs: o.Attrs(), In: in, Out: out})
	return out
}

// plan downloads the last value.
func (s *steps) plan() *plan.Plan {
	s.p.Outputs = append(s.p.Outputs, plan.Output{Name: "out", Value: len(s.p.Values) - 1, Place: plan.Download})
	r, err := op.Resolve(s.p)
	require.NoError(s.t, err)
	for v := range s.p.Values {
		if r.InScratch(v) {
			s.p.Values[v].Buffer = s.p.Buffers
			s.p.Buffers++
		}
	}
	for v := range s.p.Values {
		if b := r.Base[v]; r.InScratch(b) {
			s.p.Values[v].Buffer = s.p.Values[b].Buffer
		}
	}
	return s.p
}

// prepare compiles a plan and loads its weights, which are zeros.
func prepare(t testing.TB, e *Engine, p *plan.Plan) *Program {
	prog, err := e.Compile(p)
	require.NoError(t, err)
	for _, v := range slices.Clone(e.Missing(prog)) {
		w, err := e.PutWeight(prog, v)
		require.NoError(t, err)
		_, err = w.Write(make([]byte, w.Want()))
		require.NoError(t, err)
		require.NoError(t, w.Commit())
	}
	return prog
}
