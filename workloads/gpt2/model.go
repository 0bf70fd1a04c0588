package gpt2

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/workloads/checkpoint"
	"github.com/genie-sdk/go/workloads/generation"
	"github.com/genie-sdk/go/workloads/tokenizer"
)

// Generation is the generation settings of a checkpoint.
type Generation = generation.Settings

// ErrGeneration marks generation settings of a checkpoint that are not supported here
// and that would change the tokens.
var ErrGeneration = generation.ErrSetting

// Model is a GPT-2 checkpoint captured as a program. It is safe for concurrent
// use until Close.
type Model struct {
	Config Config
	// LM is the captured program, for genie.Generate.
	LM *genie.CausalLM
	// Generation is the checkpoint's generation settings. genie.Generate
	// applies its end tokens and refuses settings that would change the tokens.
	// The request decides how to sample and how many tokens to generate.
	Generation *Generation
	// Tokenizer is nil for a directory without a usable tokenizer.json;
	// TokenizerErr then says why. Token ids need no tokenizer.
	Tokenizer    *tokenizer.Tokenizer
	TokenizerErr error
	files        *checkpoint.Model
}

// LoadOptions configure [Load]. The zero value is ready to use.
type LoadOptions struct {
	// Progress reports the bytes of weights that have been hashed, which
	// happens once for each checkpoint.
	Progress transport.Progress
	// Hashes selects where to store the hashes of the weights: a folder;
	// "cache", the default, for genie/hashes in the user's cache folder;
	// "model" for genie-hashes.json beside the model; "off" for nowhere.
	Hashes string
	// Logger reports, at warn, what is wrong with a checkpoint that is still
	// usable: unused tensors, an end token outside the vocabulary. Nil
	// discards.
	Logger *slog.Logger
}

// Load opens a GPT-2-family directory in the Hugging Face layout: config.json,
// generation_config.json, model.safetensors or shards with an index, tensor
// names with or without the prefix "transformer.", a tied or a separate head,
// float32, float16 or bfloat16. Weights stay memory-mapped. A checkpoint of
// another type of model is an error that wraps [ErrConfig]. A tensor that is
// missing, or whose shape differs from config.json, is an error that names it.
// Anything that the computation does not use is ignored.
func Load(ctx context.Context, dir string, opts LoadOptions) (*Model, error) {
	capture := func(files *checkpoint.Model, c Config) (*Model, error) {
		m := &Model{Config: c, files: files}
		return m, m.load(dir)
	}
	return checkpoint.Load(ctx, dir, checkpoint.Options{Progress: opts.Progress, Hashes: opts.Hashes, Logger: opts.Logger}, ParseConfig, capture)
}

// Close unmaps the weights. Afterwards the program cannot send weights to an
// executor.
func (m *Model) Close() error { return m.files.Close() }

func (m *Model) load(dir string) error {
	log := m.files.Log()
	if m.Tokenizer, m.TokenizerErr = tokenizer.Load(dir); m.TokenizerErr != nil {
		m.Tokenizer = nil
		if !errors.Is(m.TokenizerErr, tokenizer.ErrNoTokenizer) {
			log.Warn("the tokenizer cannot be used; token ids need none", "model", m.files.Dir(), "error", m.TokenizerErr)
		}
	}
	var never []int
	var err error
	if m.Generation, never, err = generation.Load(dir, m.files.ConfigJSON(), m.Config.Vocab); err != nil {
		return err
	}
	if len(never) > 0 {
		log.Warn("an end token is outside the vocabulary and never comes", "model", m.files.Dir(), "tokens", never, "vocabulary", m.Config.Vocab)
	}
	g := m.files.NewGraph("gpt2")
	b := &builder{c: m.Config, files: m.files, tensors: m.files.Tensors(g, inner), g: g}
	lm, err := b.capture()
	if err != nil {
		return err
	}
	b.tensors.WarnUnused(func(name string) bool { return strings.HasPrefix(name, "h.") }, ".attn.bias", ".attn.masked_bias")
	lm.Context, lm.Check = m.Config.Positions, m.Generation.Check
	if ends := m.Generation.EOS; len(ends) > 0 {
		lm.EOS, lm.MoreEOS = ends[0], ends[1:]
	}
	m.LM = lm
	return nil
}

// inner is the start of tensor names in the files of GPT2LMHeadModel.
const inner = "transformer."

// builder captures the program; the first error sticks.
type builder struct {
	c       Config
	files   *checkpoint.Model
	tensors *checkpoint.Tensors
	g       *lazy.Graph
	err     error
}

// weight adds a tensor of the inner model.
func (b *builder) weight(name string, shape ...int) *lazy.Tensor {
	return b.tensor(inner+name, name, shape...)
}

// tensor adds a tensor of the checkpoint under a name of the program.
func (b *builder) tensor(tensor, name string, shape ...int) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	w := b.tensors.WeightAs(name, tensor, shape...)
	b.err = b.tensors.Err()
	return w
}

// tables are the embedding and the head [vocab, hidden], which are one where
// the config ties them. Such a checkpoint has the tensor under either name, or
// twice; where the two differ, transformers 5 unties them and warns.
func (b *builder) tables() (embedding, head *lazy.Tensor) {
	const wte, lm = "wte.weight", "lm_head.weight"
	vocab, hidden := b.c.Vocab, b.c.Hidden
	if !b.c.TieWordEmbeddings {
		return b.weight(wte, vocab, hidden), b.tensor(lm, lm, vocab, hidden)
	}
	asEmbedding, hasEmbedding := b.tensors.Find(inner + wte)
	asHead, hasHead := b.tensors.Find(lm)
	switch {
	case hasHead && !hasEmbedding:
		table := b.tensor(lm, wte, vocab, hidden)
		return table, table
	case hasHead && b.differ(asEmbedding, asHead):
		b.files.Log().Warn("config.json ties the head to the embedding of tokens, but the checkpoint has another head, which is used",
			"model", b.files.Dir(), "head", asHead, "embedding", asEmbedding)
		return b.weight(wte, vocab, hidden), b.tensor(lm, lm, vocab, hidden)
	}
	table := b.weight(wte, vocab, hidden)
	return table, table
}

// differ reports whether two tensors of the checkpoint have different content.
func (b *builder) differ(one, other string) bool {
	x, err := b.files.Hash(one)
	if err != nil {
		b.err = err
		return false
	}
	y, err := b.files.Hash(other)
	if err != nil {
		b.err = err
	}
	return x != y
}

// capture builds the textbook program: the KV cache is concatenated, and every
// row has logits. The planner decides what is retained, grown in place or left
// out.
func (b *builder) capture() (*genie.CausalLM, error) {
	c, g := b.c, b.g
	tokens := g.Input("tokens", lazy.I32, "batch", "seq")
	positions := g.Input("positions", lazy.I32, "batch", "seq")
	start := g.Input("start", lazy.I32, "batch")
	wte, head := b.tables()
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
// feed-forward part, each after a layer norm and with a residual.
func (b *builder) block(i int, h, start *lazy.Tensor) *lazy.Tensor {
	c, p := b.c, fmt.Sprintf("h.%d.", i)
	h = lazy.Add(h, b.attention(i, b.norm(p+"ln_1", h), start))
	f := b.linear(p+"mlp.c_fc", b.norm(p+"ln_2", h), c.Hidden, c.Inner)
	activate, err := activation.Named(string(c.Activation))
	if b.err == nil {
		b.err = err
	}
	if b.err != nil {
		return nil
	}
	return lazy.Add(h, b.linear(p+"mlp.c_proj", activate(f), c.Inner, c.Hidden))
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
