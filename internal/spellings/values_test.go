package spellings_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/spellings"
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
		assert.True(t, references[c.Name] != nil || strings.HasPrefix(c.File, "attention"), "%s has no reference", c.Name)
		delete(references, c.Name)
	}
	assert.Empty(t, references, "references of no concept")
}

// values are the outputs of a spelling by the reference kernels.
func values(t *testing.T, c *spellings.Concept, s *spellings.Spelling, in map[string]spellings.Value, sizes plan.Bindings) map[string]*op.Array {
	t.Helper()
	out, err := c.Evaluate(s, in, sizes)
	require.NoError(t, err)
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
