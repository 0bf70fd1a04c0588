package normal

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/spellings"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// TestSpellingsHaveOneForm checks that every spelling of a concept has the
// normal form of the first one, that no trap becomes the concept, and that the
// values are the captured program's.
func TestSpellingsHaveOneForm(t *testing.T) {
	for _, c := range concepts(t) {
		if strings.HasPrefix(c.File, "attention") {
			continue // TestSpellingsOfAttention
		}
		t.Run(c.Name, func(t *testing.T) {
			want := ""
			for _, s := range c.Spellings {
				g, f := spelled(t, c, s)
				form := written(f.Graph)
				if want == "" {
					want = form
				}
				assert.Equal(t, want, form, "%s; notes %v", s.Name, f.Notes)
				sameValues(t, g, f, c.Sizes())
			}
			for _, s := range c.Traps {
				g, f := spelled(t, c, s)
				sameValues(t, g, f, c.Sizes())
				form := written(f.Graph)
				for _, o := range s.Not {
					assert.NotRegexp(t, "(?m)[ :]"+o+"{", form, s.Name)
				}
				noted := slices.ContainsFunc(f.Notes, func(n Note) bool { return strings.Contains(n.Reason, s.Note) })
				assert.True(t, s.Note == "" || noted, "%s: notes %v, want one with %q", s.Name, f.Notes, s.Note)
			}
		})
	}
}

func concepts(t *testing.T) []*spellings.Concept {
	t.Helper()
	cs, err := spellings.Load("../../testdata/spellings")
	require.NoError(t, err)
	return cs
}

// spelled is the program of a spelling and its normal form, in which no rule
// built something wrong.
func spelled(t *testing.T, c *spellings.Concept, s *spellings.Spelling) (*lazy.Graph, *Form) {
	t.Helper()
	g, _, err := c.Program(s, spellings.Args{Weight: func(name string, shape []int) []float32 {
		a := op.NewArray(plan.F32, shape...)
		fill(a, name)
		return a.F32()
	}})
	require.NoError(t, err)
	f, err := Of(g, nil, nil)
	require.NoError(t, err)
	require.Empty(t, faultsOf(g), s.Name)
	return g, f
}

// written is the live part of a program, operands of commutative operators in
// order.
func written(g *lazy.Graph) string {
	texts := map[*lazy.Tensor]string{}
	var text func(x *lazy.Tensor) string
	text = func(x *lazy.Tensor) string {
		if s, ok := texts[x]; ok {
			return s
		}
		s := ""
		switch x.Kind() {
		case lazy.KindConst:
			s = fmt.Sprintf("const %v %x", x.Spec(), x.ConstData())
		case lazy.KindWeight, lazy.KindInput:
			s = x.Name()
		case lazy.KindOp:
			o := lazygraph.Op(x)
			in := make([]string, len(x.In()))
			for i, y := range x.In() {
				in[i] = strings.ReplaceAll(text(y), "\n", "\n  ")
			}
			if o.Traits().Commutative {
				slices.Sort(in)
			}
			s = fmt.Sprintf("%s{%s} %v\n  %s", o.Name(), o.Attrs().Key(), x.Shape(), strings.Join(in, "\n  "))
		}
		texts[x] = s
		return s
	}
	var out strings.Builder
	for _, o := range g.Outputs() {
		fmt.Fprintf(&out, "%s: %s\n", o.Name, text(o.Tensor))
	}
	return out.String()
}
