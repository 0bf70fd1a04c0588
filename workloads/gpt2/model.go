package gpt2

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/models"
	"github.com/genie-sdk/go/internal/tokenizer"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
)

// Model is a GPT-2 checkpoint captured as a program. It is safe for concurrent
// use until Close.
type Model struct {
	Config Config
	// LM is the captured program, for genie.Generate.
	LM *genie.CausalLM
	// Tokenizer is nil for a directory without tokenizer.json.
	Tokenizer *tokenizer.Tokenizer
	files     *checkpoint.Model
}

// LoadOptions configure [Load]. The zero value is ready to use.
type LoadOptions struct {
	// Progress is told how many bytes of weights have been hashed, which
	// happens once for each checkpoint.
	Progress transport.Progress
	// Hashes says where the hashes of the weights are stored: a folder, "cache"
	// for genie/hashes in the user's cache folder, which is also the meaning of
	// nothing, "model" for genie-hashes.json beside the model, "off" for nowhere.
	Hashes string
}

// Load opens a GPT-2-family directory as Hugging Face writes it: config.json,
// model.safetensors or shards with an index, tensor names with or without the
// prefix "transformer.", a tied or a separate head, float32, float16 or
// bfloat16. Weights stay memory-mapped. A tensor that is missing or has
// another shape than config.json says is an error that names it.
func Load(ctx context.Context, dir string, opts LoadOptions) (*Model, error) {
	capture := func(files *checkpoint.Model, c Config) (*Model, error) {
		m := &Model{Config: c, files: files}
		return m, m.load(dir)
	}
	return checkpoint.Load(ctx, dir, checkpoint.Options{Progress: opts.Progress, Hashes: opts.Hashes}, ParseConfig, capture)
}

// Close unmaps the weights. The program cannot bring weights to an executor
// afterwards.
func (m *Model) Close() error { return m.files.Close() }

func (m *Model) load(dir string) error {
	var err error
	m.Tokenizer, err = tokenizer.Load(dir)
	if err != nil && !errors.Is(err, tokenizer.ErrNoTokenizer) {
		return err
	}
	b := &builder{c: m.Config, files: m.files, g: lazy.NewGraph("gpt2")}
	b.g.SetModel(filepath.Base(m.files.Dir()))
	lm, err := b.capture()
	if err != nil {
		return err
	}
	lm.Context, lm.EOS = m.Config.Positions, m.Config.EOS
	m.LM = lm
	return nil
}

// builder captures the program; the first error sticks.
type builder struct {
	c      Config
	files  *checkpoint.Model
	g      *lazy.Graph
	prefix string
	err    error
}

// weight adds a tensor of the checkpoint.
func (b *builder) weight(name string, shape ...int) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	w, err := models.Weight(b.files, b.prefix+name, name, shape)
	if err != nil {
		b.err = err
		return nil
	}
	return b.g.AddWeight(w)
}

// capture writes the textbook program: the KV cache is concatenated, every row
// has logits. What is kept, grown in place or left out is the planner's affair.
func (b *builder) capture() (*genie.CausalLM, error) {
	if _, err := b.files.Tensor("transformer.wte.weight"); err == nil {
		b.prefix = "transformer."
	}
	c, g := b.c, b.g
	tokens := g.Input("tokens", lazy.I32, "batch", "seq")
	positions := g.Input("positions", lazy.I32, "batch", "seq")
	start := g.Input("start", lazy.I32, "batch")
	wte := b.weight("wte.weight", c.Vocab, c.Hidden)
	wpe := b.weight("wpe.weight", c.Positions, c.Hidden)
	if b.err != nil {
		return nil, b.err
	}
	h := lazy.Add(lazy.Embedding(wte, tokens), lazy.Embedding(wpe, positions))
	for i := range c.Layers {
		h = b.block(i, h, start)
		if b.err != nil {
			return nil, b.err
		}
	}
	h = b.norm("ln_f", h)
	head := wte
	if !c.TieWordEmbeddings {
		prefix := b.prefix
		b.prefix = ""
		head = b.weight("lm_head.weight", c.Vocab, c.Hidden)
		b.prefix = prefix
	}
	if b.err != nil {
		return nil, b.err
	}
	logits := g.Output("logits", lazy.MatMul(h, head, lazy.TransB))
	return genie.NewCausalLM(tokens, positions, start, logits)
}

func (b *builder) norm(name string, x *lazy.Tensor) *lazy.Tensor {
	return lazy.LayerNorm(x, b.weight(name+".weight", b.c.Hidden), b.weight(name+".bias", b.c.Hidden), b.c.LayerNormEpsilon)
}

func (b *builder) linear(name string, x *lazy.Tensor, in, out int) *lazy.Tensor {
	return lazy.Linear(x, b.weight(name+".weight", in, out), b.weight(name+".bias", out))
}

// block is one transformer block (Radford et al., 2019): attention and a
// feed-forward part, each behind a layer norm and with a residual.
func (b *builder) block(i int, h, start *lazy.Tensor) *lazy.Tensor {
	c, p := b.c, fmt.Sprintf("h.%d.", i)
	h = lazy.Add(h, b.attention(i, b.norm(p+"ln_1", h), start))
	f := b.linear(p+"mlp.c_fc", b.norm(p+"ln_2", h), c.Hidden, c.Inner)
	switch c.Activation {
	case ReLU:
		f = lazy.ReLU(f)
	case GELU:
		f = lazy.GELU(f)
	default:
		f = lazy.GELUTanh(f)
	}
	return lazy.Add(h, b.linear(p+"mlp.c_proj", f, c.Inner, c.Hidden))
}

// attention is causal self-attention over the carried keys and values
// [batch, heads, past, head] and those of this run.
func (b *builder) attention(i int, x, start *lazy.Tensor) *lazy.Tensor {
	c, p := b.c, fmt.Sprintf("h.%d.", i)
	heads := func(t *lazy.Tensor) *lazy.Tensor {
		return lazy.Transpose(lazy.Reshape(t, "batch", "seq", c.Heads, c.HeadDim()), 0, 2, 1, 3)
	}
	qkv := lazy.Split(b.linear(p+"attn.c_attn", x, c.Hidden, 3*c.Hidden), 3, 2)
	q := heads(qkv[0])
	k := b.cached(p+"k", heads(qkv[1]))
	v := b.cached(p+"v", heads(qkv[2]))
	scores := lazy.MatMul(q, k, lazy.TransB)
	if s := c.attentionScale(i); s != 1 {
		scores = lazy.Scale(scores, s)
	}
	weights := lazy.Softmax(lazy.CausalMask(scores, start), -1)
	out := lazy.Transpose(lazy.MatMul(weights, v), 0, 2, 1, 3)
	return b.linear(p+"attn.c_proj", lazy.Reshape(out, "batch", "seq", c.Hidden), c.Hidden, c.Hidden)
}

// cached appends this run's rows to the carried ones.
func (b *builder) cached(name string, rows *lazy.Tensor) *lazy.Tensor {
	past := b.g.Input(name, lazy.F32, "batch", b.c.Heads, "past", b.c.HeadDim())
	all := lazy.Concat(2, past, rows)
	b.g.Carry(past, all)
	return all
}
