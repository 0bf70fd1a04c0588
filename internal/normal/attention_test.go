package normal

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/spellings"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// heads are queries, keys and values of two heads.
func heads(g *lazy.Graph) (q, k, v *lazy.Tensor) {
	return g.Input("q", lazy.F32, "b", 2, "t", 8), g.Input("k", lazy.F32, "b", 2, "s", 8), g.Input("v", lazy.F32, "b", 2, "s", 8)
}

var headSizes = plan.Bindings{"b": 2, "t": 3, "s": 5}

// attentionForm is the normal form, which has the captured program's values.
func attentionForm(t *testing.T, g *lazy.Graph) *Form {
	t.Helper()
	require.NoError(t, g.Err())
	f, err := Of(g, nil, nil)
	require.NoError(t, err)
	sameValues(t, g, f, headSizes)
	return f
}

// TestAttentionWanted: scores and probabilities that somebody reads by name stay
// values of their own, and the notes say so.
func TestAttentionWanted(t *testing.T) {
	for name, wanted := range map[string]func(scores, probs *lazy.Tensor) *lazy.Tensor{
		"scores":        func(scores, _ *lazy.Tensor) *lazy.Tensor { return scores },
		"probabilities": func(_, probs *lazy.Tensor) *lazy.Tensor { return probs },
	} {
		g := lazy.NewGraph(name)
		q, k, v := heads(g)
		scores := lazy.Scale(lazy.MatMul(q, k, lazy.TransB), 0.5)
		probs := lazy.Softmax(scores, -1)
		g.Output("y", lazy.MatMul(probs, v))
		g.Output("wanted", wanted(scores, probs))
		f := attentionForm(t, g)
		assert.NotContains(t, written(f.Graph), "attention{", name)
		if assert.NotEmpty(t, f.Notes, name) {
			assert.Contains(t, f.Notes[0].Reason, "are an output")
		}
	}
}

// TestAttentionEmptyRows: a row that may attend to nothing is zero after the
// guard against rows without a number, as torch exports it, and only then.
func TestAttentionEmptyRows(t *testing.T) {
	g := lazy.NewGraph("guarded")
	q, k, v := heads(g)
	m := g.Input("mask.empty", lazy.Bool, "b", 1, "t", "s")
	none, low := g.Const([]float32{0}), g.Const([]float32{-inf()})
	p := lazy.Softmax(lazy.Add(lazy.MatMul(q, k, lazy.TransB), lazy.Where(m, none, low)), -1)
	g.Output("y", lazy.MatMul(lazy.Where(lazy.Apply(op.IsNaN(), p), none, p), v))
	f := attentionForm(t, g)
	assert.Contains(t, written(f.Graph), "attention{")
	assert.Contains(t, written(f.Graph), "where{", "rows that attend to nothing")
}

// TestAttentionStart: the padding before each sequence becomes the operator's.
func TestAttentionStart(t *testing.T) {
	g := lazy.NewGraph("start")
	q, k, v := heads(g)
	start := g.Input("start", lazy.I32, "b")
	p := lazy.Softmax(lazy.WindowMask(lazy.MatMul(q, k, lazy.TransB), start, 4), -1)
	g.Output("y", lazy.MatMul(p, v))
	form := written(attentionForm(t, g).Graph)
	assert.Contains(t, form, `"start"=i1;"window"=i4;`)
	assert.NotContains(t, form, "softmax{")
}

// TestAttentionOfOneProjection: queries, keys and values that are parts of one
// product, however they are split, give one attention.
func TestAttentionOfOneProjection(t *testing.T) {
	for name, parts := range map[string]func(x *lazy.Tensor) []*lazy.Tensor{
		"split": func(x *lazy.Tensor) []*lazy.Tensor {
			out := lazy.Split(x, 3, -1)
			for i, p := range out {
				out[i] = lazy.Transpose(lazy.Reshape(p, "b", "t", 2, 8), 0, 2, 1, 3)
			}
			return out
		},
		"five axes": func(x *lazy.Tensor) []*lazy.Tensor {
			all := lazy.Transpose(lazy.Reshape(x, "b", "t", 3, 2, 8), 2, 0, 3, 1, 4)
			var out []*lazy.Tensor
			for i := range 3 {
				out = append(out, lazy.Reshape(lazy.SliceN(all, 0, i, i+1), "b", 2, "t", 8))
			}
			return out
		},
		"interleaved heads": func(x *lazy.Tensor) []*lazy.Tensor {
			var out []*lazy.Tensor
			for i := range 3 {
				part := lazy.SliceN(lazy.Reshape(x, "b", "t", 2, 3, 8), 3, i, i+1)
				out = append(out, lazy.Transpose(lazy.Reshape(part, "b", "t", 2, 8), 0, 2, 1, 3))
			}
			return out
		},
	} {
		g := lazy.NewGraph(name)
		p := parts(g.Input("x", lazy.F32, "b", "t", 48))
		scores := lazy.CausalMask(lazy.Scale(lazy.MatMul(p[0], p[1], lazy.TransB), 0.5), nil)
		g.Output("y", lazy.MatMul(lazy.Softmax(scores, -1), p[2]))
		form := written(attentionForm(t, g).Graph)
		assert.Contains(t, form, "attention{", name)
		assert.NotContains(t, form, "matmul{", name)
	}
}

// TestAttentionByWeights: a layer with an unusual activation is no attention.
func TestAttentionByWeights(t *testing.T) {
	g := lazy.NewGraph("layer")
	x := g.Input("q", lazy.F32, "b", "t", 8)
	w := g.WeightF32("w", make([]float32, 64), 8, 8)
	g.Output("y", lazy.MatMul(lazy.Softmax(lazy.MatMul(x, w), -1), g.WeightF32("u", make([]float32, 64), 8, 8)))
	assert.NotContains(t, written(attentionForm(t, g).Graph), "attention{")
}

// TestCacheUpdates: what is carried, and what attention reads of it, has its
// values in every spelling of a cache, and rows are added to the carried tensor
// itself.
func TestCacheUpdates(t *testing.T) {
	for _, dir := range []string{"caches", "recurrent"} {
		cs, err := spellings.Load("../../testdata/spellings/" + dir)
		require.NoError(t, err)
		for _, c := range cs {
			for _, s := range append(slices.Clip(c.Spellings), c.Traps...) {
				g, f := spelled(t, c, s)
				sameValues(t, g, f, c.Sizes())
				for _, p := range f.Graph.Carries() {
					if u := p.Out; dir == "caches" && s.Why == "" && c.Name != "kv_window" {
						assert.Same(t, p.In, u.In()[0], "%s, %s: %v", c.Name, s.Name, u)
					}
				}
			}
		}
	}
}

func inf() float32 { return float32(math.Inf(1)) }
