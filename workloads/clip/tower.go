package clip

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// vision is the image tower (Dosovitskiy et al., arXiv:2010.11929): patches and
// a class row, which is the result. It gives [images, hidden].
func (b *builder) vision(c VisionConfig, pixels *lazy.Tensor) *lazy.Tensor {
	const p = "vision_model."
	e := p + "embeddings."
	filters := b.weight(e+"patch_embedding.weight", c.Hidden, c.Channels, c.Patch, c.Patch)
	class := b.weight(e+"class_embedding", c.Hidden)
	positions := b.weight(e+"position_embedding.weight", c.Positions(), c.Hidden)
	if b.err != nil {
		return nil
	}
	patches := lazy.Conv2D(pixels, filters, nil, lazy.Conv{Stride: [2]int{c.Patch, c.Patch}})
	rows := lazy.Transpose(lazy.Reshape(patches, "images", c.Hidden, c.Positions()-1), 0, 2, 1)
	h := lazy.Concat(1, lazy.Expand(class, "images", 1, c.Hidden), rows)
	h = b.norm(p+"pre_layrnorm", lazy.Add(h, positions), c.Tower) // the original spelling
	h = b.encoder(p, c.Tower, h, func(scores *lazy.Tensor) *lazy.Tensor { return scores })
	if b.err != nil {
		return nil
	}
	return b.norm(p+"post_layernorm", lazy.Reshape(lazy.SliceN(h, 1, 0, 1), "images", c.Hidden), c.Tower)
}

// text is the causal text tower. Its result is the row of the end token:
// [texts, hidden].
func (b *builder) text(c TextConfig, tokens, mask *lazy.Tensor) *lazy.Tensor {
	const p = "text_model."
	e := p + "embeddings."
	table := b.weight(e+"token_embedding.weight", c.Vocab, c.Hidden)
	positions := b.weight(e+"position_embedding.weight", c.Positions, c.Hidden)
	if b.err != nil {
		return nil
	}
	hide := hidden(mask)
	h := lazy.Add(lazy.Embedding(table, tokens), lazy.Slice(positions, 0, plan.C(0), lazy.Dim("seq")))
	h = b.encoder(p, c.Tower, h, func(scores *lazy.Tensor) *lazy.Tensor { return lazy.Add(scores, hide) })
	if b.err != nil {
		return nil
	}
	return b.norm(p+"final_layer_norm", lazy.Pick(h, c.end(tokens)), c.Tower)
}

// hidden [texts, 1, seq, seq] is added to the scores of each query and key: 0
// where the mask has the key and it does not come after the query, and
// otherwise the lowest float32, as in transformers. Scores vanish beside that
// value, so a query without visible keys attends to all keys equally, as there.
func hidden(mask *lazy.Tensor) *lazy.Tensor {
	g := mask.Graph()
	zeros := lazy.Expand(g.Const([]float32{0}, 1, 1, 1, 1), "texts", 1, "seq", "seq")
	before := lazy.Exp(lazy.CausalMask(zeros, nil))
	keys := lazy.Reshape(lazy.Cast(lazy.Cast(mask, plan.Bool), lazy.F32), "texts", 1, 1, "seq")
	return lazy.Scale(lazy.Sub(g.Const([]float32{1}, 1), lazy.Mul(before, keys)), -math.MaxFloat32)
}

// end is the position of the end token of each text, i32 [texts]: the first of
// several, since padding may be the same token.
func (c TextConfig) end(tokens *lazy.Tensor) *lazy.Tensor {
	if c.EOS == legacyEOS {
		return lazy.ArgMax(lazy.Cast(tokens, lazy.F32), 1)
	}
	eos := tokens.Graph().ConstInt([]int32{int32(c.EOS)}, 1)
	return lazy.ArgMax(lazy.Cast(lazy.Equal(tokens, eos), lazy.F32), 1)
}

// encoder is the layers of a tower over h [batch, seq, hidden].
func (b *builder) encoder(prefix string, t Tower, h *lazy.Tensor, mask func(scores *lazy.Tensor) *lazy.Tensor) *lazy.Tensor {
	for i := range t.Layers {
		p := fmt.Sprintf("%sencoder.layers.%d.", prefix, i)
		h = lazy.Add(h, b.attention(p+"self_attn.", t, b.norm(p+"layer_norm1", h, t), mask))
		f := b.linear(p+"mlp.fc1", b.norm(p+"layer_norm2", h, t), t.Hidden, t.Inner)
		activate, err := activation.Named(t.Activation)
		if b.err == nil {
			b.err = err
		}
		if b.err != nil {
			return nil
		}
		h = lazy.Add(h, b.linear(p+"mlp.fc2", activate(f), t.Inner, t.Hidden))
	}
	return h
}

// attention is multi-head self-attention over x [batch, seq, hidden].
func (b *builder) attention(p string, t Tower, x *lazy.Tensor, mask func(scores *lazy.Tensor) *lazy.Tensor) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	width := t.Hidden / t.Heads
	batch, seq := x.Dim(0), x.Dim(1)
	heads := func(name string) *lazy.Tensor {
		return lazy.Transpose(lazy.Reshape(b.linear(p+name, x, t.Hidden, t.Hidden), batch, seq, t.Heads, width), 0, 2, 1, 3)
	}
	q, k, v := heads("q_proj"), heads("k_proj"), heads("v_proj")
	scores := lazy.Scale(lazy.MatMul(q, k, lazy.TransB), float32(1/math.Sqrt(float64(width))))
	out := lazy.Transpose(lazy.MatMul(lazy.Softmax(mask(scores), -1), v), 0, 2, 1, 3)
	return b.linear(p+"out_proj", lazy.Reshape(out, batch, seq, t.Hidden), t.Hidden, t.Hidden)
}
