package normal_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/spellings"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// TestSpellingsRun runs every spelling and every trap in this process. The
// spellings have the concept's values, and one list of kernels and one set of
// labels for a concept; a trap has the values that it has as it is written.
func TestSpellingsRun(t *testing.T) {
	concepts, err := spellings.Load("../../testdata/spellings")
	require.NoError(t, err)
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	references := spellings.References()
	for _, c := range concepts {
		if strings.HasPrefix(c.File, "attention") || references[c.Name] == nil {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			sizes := c.Sizes()
			in, err := c.Sample(1, sizes)
			require.NoError(t, err)
			want := references[c.Name](in, c.Numbers())
			var kernels []string
			var labels string
			for i, s := range c.Spellings {
				g, got := executed(t, client, c, s, in)
				for name, w := range want {
					assert.Less(t, distance(w.Data, got[name]), 1e-5, "%s: %s", s.Name, name)
				}
				k, l := meaning(t, g, sizes)
				if i == 0 {
					kernels, labels = k, l
				}
				assert.Equal(t, kernels, k, s.Name)
				assert.Equal(t, labels, l, s.Name)
			}
			for _, s := range c.Traps {
				_, got := executed(t, client, c, s, in)
				for name, w := range written(t, c, s, in) {
					assert.Less(t, distance(w, got[name]), 1e-5, "%s: %s", s.Name, name)
				}
			}
		})
	}
}

// executed is a spelling's program and its outputs.
func executed(t *testing.T, client *genie.Client, c *spellings.Concept, s *spellings.Spelling, in map[string]spellings.Value) (*lazy.Graph, map[string][]float32) {
	t.Helper()
	g, built, err := c.Program(s, spellings.Args{Weight: func(name string, _ []int) []float32 { return in[name].Array().F32() }})
	require.NoError(t, err)
	feed := genie.Feed{}
	for name, x := range built.Made {
		if x.Kind() == lazy.KindInput {
			feed[name] = fed(in[name])
		}
	}
	session, err := client.NewSession(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, session.Close()) }()
	var outputs []*lazy.Tensor
	for _, o := range g.Outputs() {
		outputs = append(outputs, o.Tensor)
	}
	values, err := session.Run(t.Context(), feed, outputs...)
	require.NoError(t, err, s.Name)
	got := map[string][]float32{}
	for i, o := range g.Outputs() {
		got[o.Name], err = values[i].Float32s(context.Background())
		require.NoError(t, err)
	}
	return g, got
}

func fed(v spellings.Value) *genie.Value {
	a := v.Array()
	switch v.DType {
	case plan.F32:
		return genie.Float32s(a.F32(), v.Shape...)
	case plan.I32:
		return genie.Int32s(a.I32(), v.Shape...)
	case plan.Bool:
		b := make([]bool, len(v.Data))
		for i, x := range v.Data {
			b[i] = x != 0
		}
		return genie.Bools(b, v.Shape...)
	default:
		return genie.Int64s(a.I64(), v.Shape...)
	}
}

// written is what a program computes in the reference kernels as it was captured.
func written(t *testing.T, c *spellings.Concept, s *spellings.Spelling, in map[string]spellings.Value) map[string][]float64 {
	t.Helper()
	out, err := c.Evaluate(s, in, c.Sizes())
	require.NoError(t, err)
	wide := map[string][]float64{}
	for name, a := range out {
		for _, x := range a.F32() {
			wide[name] = append(wide[name], float64(x))
		}
	}
	return wide
}

// meaning is the kernels of a run and the labels of the outputs.
func meaning(t *testing.T, g *lazy.Graph, sizes plan.Bindings) (kernels []string, labels string) {
	t.Helper()
	srg, err := semantic.Analyze(g)
	require.NoError(t, err)
	ks, err := srg.Kernels(sizes)
	require.NoError(t, err)
	for _, k := range ks {
		kernels = append(kernels, k.Name)
	}
	profile, err := srg.ProfileOf(sizes)
	require.NoError(t, err)
	for _, o := range g.Outputs() {
		n := srg.Nodes[o.Tensor.ID()]
		labels += fmt.Sprintln(o.Name, n.Residency, n.Modality, n.Branch, n.Attention != 0, srg.PhaseOf(o.Tensor, profile))
	}
	return kernels, labels
}

// distance is the largest difference, relative to the largest value if that is
// more than 1.
func distance(want []float64, got []float32) float64 {
	if len(want) != len(got) {
		return math.Inf(1)
	}
	top, most := 1.0, 0.0
	for i, v := range want {
		top = max(top, math.Abs(v))
		d := math.Abs(v - float64(got[i]))
		if !(d <= most) { // NaN too
			most = d
		}
	}
	return most / top
}
