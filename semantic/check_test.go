package semantic_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// checked is a program with a weight, a state, a sampled token and an input.
func checked(t *testing.T) (*semantic.SRG, *lazy.Graph, semantic.Request) {
	t.Helper()
	g := lazy.NewGraph("checked")
	h, x := g.Input("h", lazy.F32, "n", 4), lazy.Embedding(g.WeightF32("table", make([]float32, 16), 4, 4), g.Input("x", lazy.I32, "n"))
	next := lazy.Tanh(lazy.Add(lazy.MatMul(x, g.WeightF32("w", make([]float32, 16), 4, 4)), h))
	g.Carry(h, next)
	g.Output("y", lazy.Exp(next))
	g.Output("token", lazy.ArgMax(next, -1))
	require.NoError(t, g.Err())
	s, err := semantic.Analyze(g)
	require.NoError(t, err)
	return s, g, semantic.Request{Outputs: g.Outputs()}
}

// TestCheck verifies that the schedules of all built-in policies pass, and that
// each way to corrupt one is found.
func TestCheck(t *testing.T) {
	s, g, r := checked(t)
	other := lazy.NewGraph("other").Input("x", lazy.F32, "n", 4)
	full := semantic.Full().(semantic.Features)
	here := full
	here.State = false
	client := full
	client.Sampling = false
	for _, p := range []semantic.Policy{semantic.Blind(), semantic.Resident(), full, here, client} {
		for _, r := range []semantic.Request{r, {}, {Keep: true}, {Fed: []int{0}}, {State: "mine", Outputs: g.Outputs()[:1]}} {
			sch, err := p.Schedule(s, r)
			require.NoError(t, err)
			require.NoError(t, sch.Check(s, r))
		}
	}
	state := func(p *plan.Plan) *plan.State { return &p.States[0] }
	for _, tt := range []struct {
		name  string
		p     semantic.Policy
		r     semantic.Request
		spoil func(sch *semantic.Schedule)
	}{
		{"no plan", full, r, func(sch *semantic.Schedule) { sch.Plan = nil }},
		{"an invalid plan", full, r, func(sch *semantic.Schedule) { sch.Plan.Version = 0 }},
		{"an unknown operator", full, r, func(sch *semantic.Schedule) { sch.Plan.Steps[0].Op = "magic" }},
		{"an operator of another type", full, r, func(sch *semantic.Schedule) { sch.Plan.Values[sch.Plan.Steps[0].Out].Spec.DType = plan.I32 }},
		{"another weight", full, r, func(sch *semantic.Schedule) {
			for i := range sch.Plan.Values {
				if v := &sch.Plan.Values[i]; v.Kind == plan.KindWeight {
					v.Hash[0] ^= 1
				}
			}
		}},
		{"a source too many", full, r, func(sch *semantic.Schedule) { sch.Inputs = append(sch.Inputs, sch.Inputs[0]) }},
		{"a source of another program", full, r, func(sch *semantic.Schedule) { sch.Inputs[0].Tensor = other }},
		{"no tensor", full, r, func(sch *semantic.Schedule) { sch.Inputs[0].Tensor = nil }},
		{"an unknown source", full, r, func(sch *semantic.Schedule) { sch.Inputs[0].Kind = 9 }},
		{"a feed from the carried value", full, r, func(sch *semantic.Schedule) { sch.Inputs[0].Kind = semantic.FromCarry }},
		{"a carried value from the feed", here, r, func(sch *semantic.Schedule) {
			for i := range sch.Inputs {
				sch.Inputs[i].Kind = semantic.FromFeed
			}
		}},
		{"a weight of another shape", semantic.Blind(), r, func(sch *semantic.Schedule) {
			for i := range sch.Inputs {
				if sch.Inputs[i].Kind == semantic.FromFeed {
					sch.Inputs[i] = semantic.Source{Kind: semantic.FromWeight, Tensor: weightOf(g)}
				}
			}
		}},
		{"its own output as an input", full, r, func(sch *semantic.Schedule) { sch.Inputs[0].Kind = semantic.FromOutput }},
		{"an output that is not there, for the client", client, r, func(sch *semantic.Schedule) { sch.ClientInputs[0].Output = 9 }},
		{"bytes that stay, for the client", client, r, func(sch *semantic.Schedule) {
			sch.Plan.Outputs[sch.ClientInputs[0].Output].Place = plan.Retain
		}},
		{"a result too few", full, r, func(sch *semantic.Schedule) { sch.Results = sch.Results[:1] }},
		{"a result that is another's", full, r, func(sch *semantic.Schedule) { sch.Results[0] = sch.Results[1] }},
		{"a result that is not there", full, r, func(sch *semantic.Schedule) { sch.Results[0].Output = -1 }},
		{"a result of no client", full, r, func(sch *semantic.Schedule) { sch.Results[0].Client = true }},
		{"a client's result that is not there", client, r, func(sch *semantic.Schedule) { sch.Results[1].Output = 7 }},
		{"a result that stays", full, r, func(sch *semantic.Schedule) { sch.Plan.Outputs[0].Place = plan.Retain }},
		{"a pair without a place", full, r, func(sch *semantic.Schedule) { sch.Carries = nil }},
		{"a state of another name", full, r, func(sch *semantic.Schedule) { sch.Carries[0].State, state(sch.Plan).Name = "s", "s" }},
		{"a state of no pair", full, r, func(sch *semantic.Schedule) { sch.Carries[0] = semantic.CarryPlace{} }},
		{"a carried value of another shape", here, r, func(sch *semantic.Schedule) {
			for i, o := range sch.Plan.Outputs {
				if sch.Plan.Values[o.Value].Spec.DType == plan.I32 {
					sch.Carries[0].Output = i
				}
			}
		}},
		{"a result that the run overwrites", full, r, func(sch *semantic.Schedule) { sch.Plan.Outputs[0].Value = state(sch.Plan).In }},
		{"a fed value that stays", full, semantic.Request{Fed: []int{0}}, func(sch *semantic.Schedule) {
			again, err := full.Schedule(s, r)
			require.NoError(t, err)
			*sch = *again
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sch, err := tt.p.Schedule(s, tt.r)
			require.NoError(t, err)
			require.NoError(t, sch.Check(s, tt.r))
			tt.spoil(sch)
			require.ErrorIs(t, sch.Check(s, tt.r), semantic.ErrPolicy)
		})
	}
	require.ErrorIs(t, (*semantic.Schedule)(nil).Check(s, r), semantic.ErrPolicy)
}

func weightOf(g *lazy.Graph) *lazy.Tensor {
	for _, t := range g.Tensors() {
		if t.Kind() == lazy.KindWeight {
			return t
		}
	}
	return nil
}
