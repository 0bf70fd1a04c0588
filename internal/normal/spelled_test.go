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

// TestSpellingsOfComputedValues is TestSpellingsHaveOneForm where the inputs are
// values that the patterns could take apart: sums, products, multiples, views.
func TestSpellingsOfComputedValues(t *testing.T) {
	for _, c := range concepts(t) {
		if strings.HasPrefix(c.File, "attention") {
			continue // TestSpellingsOfAttention
		}
		for name, f := range computed {
			if name == "transposed" && strings.HasPrefix(c.Name, "softmax") {
				continue // which axis the softmax is over depends on which transposes compose
			}
			t.Run(c.Name+"/"+name, func(t *testing.T) {
				want := ""
				for _, s := range c.Spellings {
					g := lazy.NewGraph(c.Name)
					values := map[string]*lazy.Tensor{}
					for _, in := range c.Inputs {
						if !in.Weight && in.DType == plan.F32 {
							values[in.Name] = f(g, in.Name, leafOf(t, c, in.Name))
						}
					}
					b, err := c.Build(s, g, spellings.Args{Values: values, Weight: weight})
					require.NoError(t, err)
					for _, o := range c.Outputs {
						g.Output(o, b.Out[o])
					}
					f, err := Of(g, nil, nil)
					require.NoError(t, err)
					require.Empty(t, faultsOf(g), s.Name)
					form := written(f.Graph)
					if want == "" {
						want = form
					}
					assert.Equal(t, want, form, "%s; notes %v", s.Name, f.Notes)
					sameValues(t, g, f, c.Sizes())
				}
			})
		}
	}
}

// leafOf is the shape of an input of a concept.
func leafOf(t *testing.T, c *spellings.Concept, name string) plan.Shape {
	t.Helper()
	g := lazy.NewGraph("leaf")
	x, err := c.Leaf(name, g)
	require.NoError(t, err)
	return x.Shape()
}

// computed are values of a shape that are computed.
var computed = map[string]func(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor{
	"sum": func(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor {
		return lazy.Add(input(g, name+".a", s), lazy.Sub(input(g, name+".b", s), input(g, name+".c", s)))
	},
	"product": func(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor {
		return lazy.Mul(input(g, name+".a", s), input(g, name+".b", s))
	},
	"square": func(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor {
		x := input(g, name+".a", s)
		return lazy.Mul(x, x)
	},
	"multiple": func(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor {
		return lazy.Scale(input(g, name+".a", s), 3)
	},
	"negated": func(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor {
		return lazy.Scale(input(g, name+".a", s), -1)
	},
	"shifted": func(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor {
		return lazy.Add(input(g, name+".a", s), g.Const([]float32{0.5}, 1))
	},
	"activation": func(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor {
		return lazy.SiLU(input(g, name+".a", s))
	},
	"transposed": func(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor {
		perm, from := make([]int, len(s)), make(plan.Shape, len(s))
		for i := range perm {
			perm[i], from[i] = i, s[i]
		}
		k := len(s)
		if k == 2 {
			return input(g, name, s)
		}
		perm[k-2], perm[k-3] = k-3, k-2
		from[k-2], from[k-3] = s[k-3], s[k-2]
		return lazy.Transpose(input(g, name+".a", from), perm...)
	},
	"centred": func(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor {
		x := input(g, name+".a", s)
		return lazy.Sub(x, input(g, name+".b", append(s[:len(s)-1:len(s)-1], plan.C(1))))
	},
}

func input(g *lazy.Graph, name string, s plan.Shape) *lazy.Tensor {
	dims := make([]any, len(s))
	for i, d := range s {
		dims[i] = d
	}
	return g.Input(name, lazy.F32, dims...)
}

func weight(name string, shape []int) []float32 {
	a := op.NewArray(plan.F32, shape...)
	fill(a, name)
	return a.F32()
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
	g, _, err := c.Program(s, spellings.Args{Weight: weight})
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
