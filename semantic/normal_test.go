package semantic

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// spelled is an attention over a cache, written otherwise than this module's
// models are: K transposed by a transpose, a quotient for the scale, identities,
// equal values written twice.
func spelled(t *testing.T) (*lazy.Graph, map[string]*lazy.Tensor) {
	t.Helper()
	g := lazy.NewGraph("spelled")
	x := g.Input("x", lazy.F32, "b", "n", 8)
	old := g.Input("old", lazy.F32, "b", "past", 8)
	at := map[string]*lazy.Tensor{"x": x, "old": old}
	at["keys"] = lazy.Identity(lazy.Concat(1, old, lazy.Identity(x)))
	g.Carry(old, at["keys"])
	at["turned"] = lazy.Transpose(at["keys"], 0, 2, 1)
	at["scores"] = lazy.MatMul(x, at["turned"])
	at["eight"] = g.Const([]float32{8, 8}, 2, 1, 1)
	at["scaled"] = lazy.Div(at["scores"], g.Const([]float32{4}, 1, 1, 1))
	at["weights"] = lazy.Softmax(lazy.CausalMask(at["scaled"], nil), -1)
	at["context"] = lazy.MatMul(at["weights"], at["keys"])
	at["first"] = lazy.Tanh(at["context"])
	at["again"] = lazy.Tanh(lazy.Identity(at["context"]))
	at["out"] = lazy.Add(at["first"], at["again"])
	g.Output("out", at["out"])
	g.Output("same", lazy.Identity(at["out"]))
	require.NoError(t, g.Err())
	return g, at
}

// TestNormalForm checks what callers see of a program that is planned in
// another form: its own tensors, their meaning, cost and edges.
func TestNormalForm(t *testing.T) {
	g, at := spelled(t)
	s, err := Analyze(g)
	require.NoError(t, err)
	require.NotNil(t, s.form)
	require.Same(t, g, s.Graph)
	require.Len(t, s.Nodes, len(g.Tensors()))
	require.Len(t, s.Caches, 1)
	require.Same(t, g, s.Caches[0].Update.Graph())
	require.Equal(t, "concat", s.Caches[0].Update.Op().Name())
	for name, want := range map[string]Residency{
		"x": ExternalInput, "old": StatefulKVCache, "keys": StatefulKVCache, "turned": StatefulKVCache, "scores": EphemeralActivation, "out": ExternalOutput,
	} {
		require.Equal(t, want, s.Nodes[at[name].ID()].Residency, name)
	}
	require.Equal(t, ExternalOutput, s.Nodes[g.Outputs()[1].Tensor.ID()].Residency)
	for name, want := range map[string]int{"turned": 0, "scores": 1, "scaled": 1, "weights": 1, "context": 1, "again": 0, "out": 0} {
		require.Equal(t, want, s.Nodes[at[name].ID()].Attention, name)
	}
	require.False(t, s.Nodes[at["turned"].ID()].Dead, "it is absorbed, and not dead")
	require.True(t, s.Nodes[at["eight"].ID()].Dead)

	b := plan.Bindings{"b": 2, "n": 1, "past": 6}
	profile, err := s.ProfileOf(b)
	require.NoError(t, err)
	require.Equal(t, PhaseDecode, profile.Phase)
	costs, err := s.Costs(b)
	require.NoError(t, err)
	require.Zero(t, costs[at["again"].ID()], "it is the first")
	require.Zero(t, costs[at["turned"].ID()])
	require.Zero(t, costs[at["scores"].ID()], "it is a part of the context's operator")
	require.GreaterOrEqual(t, costs[at["context"].ID()].FLOPs, 2*2.0*2*7*8)
	edges, err := s.Edges(b)
	require.NoError(t, err)
	require.Equal(t, at["out"].ID(), edges[len(edges)-2].To)
	kernels, err := s.Kernels(b)
	require.NoError(t, err)
	var flops float64
	for _, k := range kernels {
		flops += k.Cost.FLOPs
		for _, id := range k.Nodes {
			require.Less(t, id, len(s.Nodes))
			require.False(t, s.Nodes[id].Dead)
		}
	}
	require.Positive(t, flops)
}

// TestNormalFormSchedules requests tensors of the captured program, declared and
// not, from every policy; schedules speak of the captured program.
func TestNormalFormSchedules(t *testing.T) {
	g, at := spelled(t)
	s, err := Analyze(g)
	require.NoError(t, err)
	for _, p := range []Policy{Blind(), Resident(), Full()} {
		for _, r := range []Request{
			{},
			{Outputs: []lazy.Named{{Name: "turned", Tensor: at["turned"]}, {Name: "again", Tensor: at["again"]}, {Name: "context", Tensor: at["first"]}}},
			{Outputs: []lazy.Named{{Name: "out", Tensor: at["out"]}}, Keep: true},
		} {
			sch, err := p.Schedule(s, r)
			require.NoError(t, err, p.Name())
			require.NoError(t, sch.Check(s, r), p.Name())
			for _, step := range sch.Plan.Steps {
				require.NotContains(t, []string{"identity", "div"}, step.Op)
			}
			for _, st := range sch.Plan.States {
				require.Equal(t, StateOf(g)+"/old", st.Name)
				require.Equal(t, plan.StateAppend, st.Mode)
			}
		}
	}
	other := lazy.NewGraph("other")
	_, err = Full().Schedule(s, Request{Outputs: []lazy.Named{{Name: "y", Tensor: other.Input("x", lazy.F32, 1)}}})
	require.ErrorIs(t, err, ErrPolicy)
	_, err = Full().Schedule(s, Request{Outputs: []lazy.Named{{Name: "y"}}})
	require.ErrorIs(t, err, ErrPolicy)
	lazy.ReLU(at["out"])
	require.True(t, s.Outdated())
	_, err = Full().Schedule(s, Request{})
	require.ErrorIs(t, err, ErrPolicy)
	_, err = s.Kernels(plan.Bindings{"b": 2, "n": 1, "past": 7})
	require.ErrorIs(t, err, ErrPolicy)
}

// TestNormalFormHints gives hints about tensors that the normal form leaves out.
func TestNormalFormHints(t *testing.T) {
	g, at := spelled(t)
	s, err := Analyze(g, HintModality(at["turned"], ModalityAudio), HintPhase(at["scaled"], PhaseFusion),
		HintResidency(at["again"], PersistentWeight), HintBranch(at["turned"], 2), HintCache(at["old"], false))
	require.NoError(t, err)
	require.Empty(t, s.Caches)
	require.Equal(t, ModalityAudio, s.Nodes[at["turned"].ID()].Modality)
	require.Equal(t, ModalityNone, s.Nodes[at["keys"].ID()].Modality)
	require.Equal(t, ModalityAudio, s.Nodes[at["scores"].ID()].Modality, "it is computed from it")
	require.Equal(t, ModalityAudio, s.Nodes[at["out"].ID()].Modality)
	require.Equal(t, PhaseFusion, s.PhaseOf(at["scaled"], Profile{}))
	require.Equal(t, PersistentWeight, s.Nodes[at["again"].ID()].Residency)
	require.NotEqual(t, PersistentWeight, s.Nodes[at["first"].ID()].Residency, "it has the same value, and no hint")
	require.Equal(t, 2, s.Nodes[at["turned"].ID()].Branch)
	require.Contains(t, s.Branches[1].Nodes, at["turned"].ID())
}

// TestExplainNormalForm checks that the user's nodes, their places and what
// became of them show.
func TestExplainNormalForm(t *testing.T) {
	g, at := spelled(t)
	s, err := Analyze(g)
	require.NoError(t, err)
	e, err := Explain(s, Full(), plan.Bindings{"b": 2, "n": 3, "past": 6})
	require.NoError(t, err)
	require.Len(t, e.Nodes, len(g.Tensors()))
	turned, context := e.Nodes[at["turned"].ID()], e.Nodes[at["context"].ID()]
	require.Equal(t, "transpose", turned.Op)
	require.NotNil(t, turned.Into)
	require.Equal(t, context.ID, *turned.Into)
	require.Contains(t, context.Absorbed, turned.ID)
	require.Contains(t, context.As, "attention(")
	require.Equal(t, context.ID, *e.Nodes[at["scaled"].ID()].Into)
	require.Equal(t, ref(at["first"].ID()), e.Nodes[at["again"].ID()].As)
	text, dot := e.Text(), e.Dot()
	line := at["turned"].Location().Line
	place := fmt.Sprintf("semantic/normal_test.go:%d", line)
	require.Equal(t, place, turned.Location)
	require.Contains(t, text, place)
	require.Contains(t, text, "nodes computed in another form")
	require.Contains(t, dot, place)
	require.Contains(t, dot, fmt.Sprintf("n%d -> n%d [style=dotted", turned.ID, context.ID))
	encoded, err := json.Marshal(e)
	require.NoError(t, err)
	require.Contains(t, string(encoded), place)
	require.Contains(t, string(encoded), fmt.Sprintf(`"into":%d`, context.ID))
}
