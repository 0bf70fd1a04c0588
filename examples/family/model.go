package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// model is a Llama checkpoint captured as a program.
type model struct {
	config config
	lm     *genie.CausalLM
	files  *checkpoint.Model
}

// load opens a directory in the Hugging Face layout of LlamaForCausalLM: config.json
// and model.safetensors, or shards with an index. Weights stay memory-mapped; a
// tensor that is missing, or of another shape than config.json says, is an error
// that names it.
func load(ctx context.Context, dir string, log *slog.Logger) (*model, error) {
	return checkpoint.Load(ctx, dir, checkpoint.Options{Logger: log}, parseConfig, capture)
}

// close unmaps the weights.
func (m *model) close() error { return m.files.Close() }

// builder captures the program. Tensors keeps the first error: what follows it
// computes nothing.
type builder struct {
	c config
	g *lazy.Graph
	t *checkpoint.Tensors

	past     plan.Dim
	cos, sin *lazy.Tensor // [batch, 1, seq, headDim/2], of the positions
}

// capture records the program and computes nothing.
func capture(files *checkpoint.Model, c config) (*model, error) {
	g := files.NewGraph("llama")
	b := &builder{c: c, g: g, t: files.Tensors(g, "model."), past: lazy.Dim("past")}
	tokens, positions := g.Input("tokens", lazy.I32, "batch", "seq"), g.Input("positions", lazy.I32, "batch", "seq")
	b.rotations(positions)

	table := b.t.Weight("embed_tokens.weight", c.Vocab, c.Hidden)
	x := lazy.Embedding(table, tokens)
	for i := range c.Layers {
		x = b.layer(fmt.Sprintf("layers.%d.", i), x)
	}
	head := table
	if !c.Tied {
		head = b.t.WeightAs("lm_head.weight", "lm_head.weight", c.Vocab, c.Hidden)
	}
	logits := lazy.MatMul(b.norm("norm.weight", x), head, lazy.TransB)
	if err := b.t.Err(); err != nil {
		return nil, err
	}
	b.t.WarnUnused(func(name string) bool { return strings.HasPrefix(name, "layers.") }, "rotary_emb.inv_freq")
	lm, err := genie.NewCausalLM(tokens, positions, nil, logits)
	if err != nil {
		return nil, err
	}
	lm.Context, lm.EOS = c.Context, c.EOS
	return &model{config: c, lm: lm, files: files}, nil
}

// rotations are the angles of the positions: rows of tables that the program has.
func (b *builder) rotations(positions *lazy.Tensor) {
	half := b.c.headDim() / 2
	cos, sin := make([]float32, b.c.Context*half), make([]float32, b.c.Context*half)
	for p := range b.c.Context {
		for j := range half {
			angle := float64(p) * math.Pow(b.c.Theta, -float64(j)/float64(half))
			cos[p*half+j], sin[p*half+j] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
	}
	of := func(name string, table []float32) *lazy.Tensor {
		rows := lazy.Embedding(b.g.WeightF32(name, table, b.c.Context, half), positions)
		return lazy.Reshape(rows, "batch", 1, "seq", half)
	}
	b.cos, b.sin = of("rotary.cos", cos), of("rotary.sin", sin)
}

func (b *builder) norm(name string, x *lazy.Tensor) *lazy.Tensor {
	return lazy.RMSNorm(x, b.t.Weight(name, b.c.Hidden), b.c.Epsilon)
}

// linear is a layer without bias; its weight is [out, in], as PyTorch stores it.
func (b *builder) linear(name string, x *lazy.Tensor, in, out int) *lazy.Tensor {
	return lazy.MatMul(x, b.t.Weight(name+".weight", out, in), lazy.TransB)
}

// layer is attention and a gated feed-forward part, each after a norm and with a
// residual.
func (b *builder) layer(name string, x *lazy.Tensor) *lazy.Tensor {
	c := b.c
	x = lazy.Add(x, b.attention(name, b.norm(name+"input_layernorm.weight", x)))
	h := b.norm(name+"post_attention_layernorm.weight", x)
	gate := lazy.SiLU(b.linear(name+"mlp.gate_proj", h, c.Hidden, c.Inner))
	h = lazy.Mul(gate, b.linear(name+"mlp.up_proj", h, c.Hidden, c.Inner))
	return lazy.Add(x, b.linear(name+"mlp.down_proj", h, c.Inner, c.Hidden))
}

// attention attends to the rows of the caches and to the new ones.
func (b *builder) attention(name string, x *lazy.Tensor) *lazy.Tensor {
	c := b.c
	heads := func(part string, n int) *lazy.Tensor {
		y := b.linear(name+"self_attn."+part, x, c.Hidden, n*c.headDim())
		return lazy.Transpose(lazy.Reshape(y, "batch", "seq", n, c.headDim()), 0, 2, 1, 3)
	}
	rotate := func(y *lazy.Tensor) *lazy.Tensor { return lazy.RoPE(y, b.cos, b.sin, lazy.RoPEOptions{}) }
	cached := func(kind string, rows *lazy.Tensor) *lazy.Tensor {
		past := b.g.Input(name+kind, lazy.F32, "batch", c.KVHeads, b.past, c.headDim())
		all := lazy.Concat(2, past, rows)
		b.g.Carry(past, all)
		return all
	}
	q, k := rotate(heads("q_proj", c.Heads)), cached("keys", rotate(heads("k_proj", c.KVHeads)))
	v := cached("values", heads("v_proj", c.KVHeads))
	y := lazy.Attention(q, k, v, lazy.AttentionOptions{Scale: float32(1 / math.Sqrt(float64(c.headDim()))), Causal: true})
	return b.linear(name+"self_attn.o_proj", lazy.Reshape(lazy.Transpose(y, 0, 2, 1, 3), "batch", "seq", c.Hidden), c.Hidden, c.Hidden)
}
