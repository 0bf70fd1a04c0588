package genie_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
)

// dropping is the policy full without the operators that only pass their input on, so
// that an output may be a carried value itself.
func dropping() semantic.Policy {
	return semantic.Rules{Features: semantic.Full().(semantic.Features), Rewrite: func(g *semantic.Rewriter) error {
		for _, v := range g.Values() {
			if t := v.Traits(); t.Moves && t.Aligned {
				if err := g.Replace(v, v.In()[0]); err != nil {
					return err
				}
			}
		}
		return nil
	}}
}

// oldValues is a program that gives the carried values of before the run, in several
// ways, and the feed of its step.
func oldValues(step int32) (feed genie.Feed, outputs []*lazy.Tensor) {
	g := lazy.NewGraph("old")
	x, pos := g.Input("x", lazy.F32, 2), g.Input("pos", lazy.I32)
	h, k, w := g.Input("h", lazy.F32, 2), g.Input("k", lazy.F32, "n", 2), g.Input("w", lazy.F32, 4, 2)
	row := lazy.Reshape(x, 1, 2)
	g.Carry(h, lazy.Add(h, x))
	g.Carry(k, lazy.Concat(0, k, row))
	g.Carry(w, lazy.WriteRows(w, row, pos, 0))
	for _, old := range []*lazy.Tensor{h, k, w} {
		outputs = append(outputs, old, lazy.Identity(old), lazy.Apply(op.Contiguous{}, old), lazy.Reshape(old, -1, 1), lazy.Tanh(old))
	}
	for i, y := range outputs {
		g.Output(string(rune('a'+i)), y)
	}
	return genie.Feed{"x": genie.Float32s([]float32{1, 2}, 2), "pos": genie.Int32s([]int32{step})}, outputs
}

// TestOutputsOfOldState verifies that an output with the value that a carried
// tensor had before the run has that value, and not the value after the run.
func TestOutputsOfOldState(t *testing.T) {
	want := map[int][][]float32{}
	for _, p := range []semantic.Policy{semantic.Blind(), semantic.Full(), everywhere(), dropping()} {
		for _, retain := range []bool{false, true} {
			client, err := genie.Open(t.Context(), "local:", genie.WithPolicy(p))
			require.NoError(t, err)
			session, err := client.NewSession(t.Context())
			require.NoError(t, err)
			_, outputs := oldValues(0)
			run := session.Run
			if retain {
				run = session.RunRetain
			}
			for step := range 3 {
				feed, _ := oldValues(int32(step))
				values, err := run(t.Context(), feed, outputs...)
				require.NoError(t, err, p.Name())
				var got [][]float32
				for _, v := range values {
					f, err := v.Float32s(t.Context())
					require.NoError(t, err)
					got = append(got, f)
				}
				if want[step] == nil {
					want[step] = got
				}
				require.Equal(t, want[step], got, "%s, step %d, retained %v", p.Name(), step, retain)
			}
			require.NoError(t, session.Close())
			require.NoError(t, client.Close())
		}
	}
	require.Equal(t, []float32{2, 4}, want[2][0])
}
