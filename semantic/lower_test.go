package semantic_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// schedules plans the tiny GPT-2's next token under a policy.
func schedules(t *testing.T, p semantic.Policy, phase semantic.Phase) (*gpt2.Model, *semantic.Schedule) {
	t.Helper()
	m, err := gpt2.Load(context.Background(), "../testdata/gpt2/basic", gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	srg, err := semantic.Analyze(m.LM.Graph)
	require.NoError(t, err)
	s, err := p.Schedule(srg, semantic.Request{
		Profile: semantic.Profile{Phase: phase}, Outputs: []lazy.Named{{Name: "next", Tensor: m.LM.Next}},
	})
	require.NoError(t, err)
	return m, s
}

func count(p *plan.Plan, op string) (n int) {
	for _, s := range p.Steps {
		if s.Op == op {
			n++
		}
	}
	return n
}

// TestFullPlan verifies what the policy full does to GPT-2: weights by hash,
// caches appended in place, one token out, the head on one row.
func TestFullPlan(t *testing.T) {
	for _, phase := range []semantic.Phase{semantic.PhasePrefill, semantic.PhaseDecode} {
		m, s := schedules(t, semantic.Full(), phase)
		p := s.Plan
		require.Nil(t, s.Client)
		require.Equal(t, phase.String(), p.Phase)
		require.Len(t, p.Outputs, 1)
		require.Equal(t, plan.CauseToken, p.Outputs[0].Cause)
		require.Len(t, p.States, 2*m.Config.Layers)
		for _, st := range p.States {
			require.Equal(t, plan.StateAppend, st.Mode)
			require.Equal(t, 2, st.Axis)
		}
		require.Zero(t, count(p, "concat"))
		require.Equal(t, 2*m.Config.Layers, count(p, "append"))
		for i, in := range p.Inputs {
			require.Equal(t, semantic.FromFeed, s.Inputs[i].Kind)
			require.Equal(t, plan.CauseToken, s.Inputs[i].Cause, in.Name)
		}
		weights := 0
		for _, v := range p.Values {
			if v.Kind == plan.KindWeight {
				weights++
			}
		}
		require.Equal(t, 2+12*m.Config.Layers+2, weights)
		require.Less(t, p.Buffers, 12)

		// The last block's feed-forward part and the head see one row.
		var rows []string
		for _, st := range p.Steps {
			if out := p.Values[st.Out].Spec.Shape; st.Op == "matmul" && len(out) == 3 {
				rows = append(rows, out[1].String())
			}
		}
		require.Equal(t, "1", rows[len(rows)-1], "head")
		require.Equal(t, []string{"1", "1", "1"}, rows[len(rows)-4:len(rows)-1], "last block")
		require.Equal(t, "seq", rows[0])
	}
}

// TestBlindPlan verifies what the blind policy moves: every weight up, every
// output back, caches too, and the choice of the token on this side.
func TestBlindPlan(t *testing.T) {
	m, s := schedules(t, semantic.Blind(), semantic.PhaseDecode)
	require.Empty(t, s.Plan.States)
	sent := map[semantic.SourceKind]int{}
	for _, src := range s.Inputs {
		sent[src.Kind]++
	}
	require.Equal(t, 2+12*m.Config.Layers+2, sent[semantic.FromWeight])
	require.Equal(t, 2*m.Config.Layers, sent[semantic.FromCarry])
	require.Equal(t, 2*m.Config.Layers, count(s.Plan, "concat"))
	require.Zero(t, count(s.Plan, "append")+count(s.Plan, "sample"))
	causes := map[plan.Cause]int{}
	for _, o := range s.Plan.Outputs {
		require.Equal(t, plan.Download, o.Place)
		causes[o.Cause]++
	}
	require.Equal(t, map[plan.Cause]int{plan.CauseLogits: 1, plan.CauseKV: 2 * m.Config.Layers}, causes)
	require.NotNil(t, s.Client)
	require.Equal(t, 1, count(s.Client, "sample"))
	require.Zero(t, count(s.Client, "matmul"))
	logits := s.Plan.Values[s.Plan.Outputs[0].Value].Spec.Shape
	require.Equal(t, "[batch, seq, 128]", logits.String(), "all rows come back")
}

// TestResidentPlan differs from blind in the weights alone.
func TestResidentPlan(t *testing.T) {
	_, blind := schedules(t, semantic.Blind(), semantic.PhaseDecode)
	_, s := schedules(t, semantic.Resident(), semantic.PhaseDecode)
	require.False(t, slices.ContainsFunc(s.Inputs, func(x semantic.Source) bool { return x.Kind == semantic.FromWeight }))
	require.Len(t, s.Plan.Steps, len(blind.Plan.Steps))
	require.Len(t, s.Plan.Outputs, len(blind.Plan.Outputs))
}

// TestScheduleIsPure plans twice and gets the same bytes.
func TestScheduleIsPure(t *testing.T) {
	for _, p := range []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()} {
		_, a := schedules(t, p, semantic.PhaseDecode)
		_, b := schedules(t, p, semantic.PhaseDecode)
		require.Equal(t, a.Plan.Hash(), b.Plan.Hash(), p.Name())
	}
}

// TestWrittenCache is ordered after the readers of its old value, and falls
// back to a copy when a reader depends on what is written.
func TestWrittenCache(t *testing.T) {
	build := func(circle bool) (*lazy.Graph, *lazy.Tensor) {
		g := lazy.NewGraph("written")
		cache := g.Input("cache", lazy.F32, 1, 1, 8, 4)
		pos := g.Input("pos", lazy.I32, 1)
		q := g.Input("q", lazy.F32, 1, 1, 1, 4)
		rows := g.Input("rows", lazy.F32, 1, 1, 1, 4)
		if circle {
			rows = lazy.Scale(rows, 2)
		}
		all := lazy.WriteRows(cache, rows, pos, 2)
		attended := lazy.MatMul(lazy.Softmax(lazy.MatMul(q, all, lazy.TransB), -1), all)
		old := lazy.Add(cache, cache) // reads the value from before
		if circle {
			old = lazy.Mul(cache, all)
		}
		g.Carry(cache, all)
		g.Output("old", old)
		return g, g.Output("y", attended)
	}
	for _, circle := range []bool{false, true} {
		g, _ := build(circle)
		require.NoError(t, g.Err())
		srg, err := semantic.Analyze(g)
		require.NoError(t, err)
		require.Len(t, srg.Caches, 1)
		s, err := semantic.Full().Schedule(srg, semantic.Request{Profile: semantic.Profile{Phase: semantic.PhaseDecode}})
		require.NoError(t, err)
		require.Len(t, s.Plan.States, 1)
		want := plan.StateWrite
		if circle {
			want = plan.StateReplace
		}
		require.Equal(t, want, s.Plan.States[0].Mode)
		if circle {
			continue
		}
		var ops []string
		for _, st := range s.Plan.Steps {
			ops = append(ops, st.Op)
		}
		require.Less(t, slices.Index(ops, "add"), slices.Index(ops, "write_rows"), "the old value is read first")
	}
}

func TestPolicyNamed(t *testing.T) {
	for _, name := range []string{"blind", "resident", "full"} {
		p, err := semantic.PolicyNamed(name)
		require.NoError(t, err)
		require.Equal(t, name, p.Name())
	}
	former, err := semantic.PolicyNamed("semantic")
	require.NoError(t, err)
	require.Equal(t, semantic.Full(), former, "the former name still counts")
	_, err = semantic.PolicyNamed("fast")
	require.ErrorIs(t, err, semantic.ErrPolicy)
	require.ErrorContains(t, err, `"fast"`)
}

// TestEachTensorOnce asks for a tensor under two names that is carried and
// declared as well: it comes back once.
func TestEachTensorOnce(t *testing.T) {
	g := lazy.NewGraph("once")
	h := g.Input("h", lazy.F32, 1, 2)
	y := g.Output("y", lazy.Tanh(h))
	g.Carry(h, y)
	srg, err := semantic.Analyze(g)
	require.NoError(t, err)
	s, err := semantic.Blind().Schedule(srg, semantic.Request{Outputs: []lazy.Named{{Name: "a", Tensor: y}, {Name: "b", Tensor: y}}})
	require.NoError(t, err)
	require.Len(t, s.Plan.Outputs, 1)
	require.Equal(t, []semantic.Result{{}, {}}, s.Results)
	require.Equal(t, []semantic.CarryPlace{{}}, s.Carries)
}
