package spellings_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/spellings"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// TestSpellingsAreTheConcept computes every spelling as it is written, by the
// reference kernels, and its concept in float64.
func TestSpellingsAreTheConcept(t *testing.T) {
	concepts, err := spellings.Load("../../testdata/spellings")
	require.NoError(t, err)
	references := spellings.References()
	for _, c := range concepts {
		ref := references[c.Name]
		if ref == nil {
			continue // TestEveryConceptHasAReference says so
		}
		sizes := c.Sizes()
		in, err := c.Sample(1, sizes)
		require.NoError(t, err)
		want := ref(in, c.Numbers())
		for _, s := range c.Spellings {
			for name, w := range want {
				assert.NoError(t, within(w, values(t, c, s, in, sizes)[name].F32(), 1e-5), "%s, %s: %s", c.Name, s.Name, name)
			}
		}
		for _, s := range c.Traps {
			same := true
			for name, w := range want {
				same = same && within(w, values(t, c, s, in, sizes)[name].F32(), 1e-6) == nil
			}
			assert.False(t, same, "%s: the trap %s has the concept's values", c.Name, s.Name)
		}
	}
}

// TestEveryConceptHasAReference holds the table and the files together.
func TestEveryConceptHasAReference(t *testing.T) {
	concepts, err := spellings.Load("../../testdata/spellings")
	require.NoError(t, err)
	references := spellings.References()
	for _, c := range concepts {
		assert.Contains(t, references, c.Name)
		delete(references, c.Name)
	}
	assert.Empty(t, references, "references of no concept")
}

// values are the outputs of a spelling by the reference kernels.
func values(t *testing.T, c *spellings.Concept, s *spellings.Spelling, in map[string]spellings.Value, sizes plan.Bindings) map[string]*op.Array {
	t.Helper()
	g, _, err := c.Program(s, spellings.Args{Weight: func(name string, _ []int) []float32 { return in[name].Array().F32() }})
	require.NoError(t, err)
	at := make([]*op.Array, len(g.Tensors()))
	for i, x := range g.Tensors() {
		shape, err := x.Shape().Eval(sizes)
		require.NoError(t, err)
		at[i] = op.NewArray(x.DType(), shape...)
		switch x.Kind() {
		case lazy.KindConst:
			copy(at[i].Data, x.ConstData())
		case lazy.KindWeight:
			h, _ := x.WeightRef()
			w, err := g.Weight(h)
			require.NoError(t, err)
			copy(at[i].Data, w.Data)
		case lazy.KindInput:
			at[i] = in[x.Name()].Array()
		case lazy.KindOp:
			var args []*op.Array
			for _, y := range x.In() {
				args = append(args, at[y.ID()])
			}
			o, err := op.Bind(lazygraph.Op(x), sizes)
			require.NoError(t, err)
			require.NoError(t, o.Eval(at[i], args, nil))
		}
	}
	out := map[string]*op.Array{}
	for _, o := range g.Outputs() {
		out[o.Name] = at[o.Tensor.ID()]
	}
	return out
}

// within compares values with a tolerance relative to the largest one.
func within(want spellings.Value, got []float32, tolerance float64) error {
	top := 1.0
	for _, v := range want.Data {
		top = max(top, math.Abs(v))
	}
	if len(got) != len(want.Data) {
		return assert.AnError
	}
	for i, v := range want.Data {
		if !(math.Abs(v-float64(got[i])) <= tolerance*top) {
			return assert.AnError
		}
	}
	return nil
}
