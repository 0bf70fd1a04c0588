package bert

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// Model is a BERT checkpoint captured as a program. It is safe for concurrent
// use until Close.
type Model struct {
	Config Config
	Graph  *lazy.Graph
	// Tokens and Types are inputs, i32 [batch, seq]: ids, and the segment that
	// each token belongs to.
	Tokens, Types *lazy.Tensor
	// Mask is an input, i32 [batch, seq]: 1 for a token, 0 for padding, which
	// no token attends to.
	Mask *lazy.Tensor
	// Positions is an input, i32: [1, seq] in a BERT; [batch, seq] in a
	// RoBERTa, where positions depend on the padding.
	Positions *lazy.Tensor
	// Rows is an output, f32 [batch, seq, hidden]: the last layer. The rows of
	// padding are meaningless.
	Rows *lazy.Tensor
	// Mean is an output, f32 [batch, hidden]: the mean of the rows of tokens.
	Mean *lazy.Tensor

	files *checkpoint.Model
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
	// Logger reports unused tensors, at warn. Nil discards.
	Logger *slog.Logger
}

// Load opens a directory in the Hugging Face layout of BertModel, RobertaModel,
// XLMRobertaModel or CamembertModel, or of a model around one, whose tensor
// names begin with "bert." or "roberta.": config.json and model.safetensors, or
// shards with an index. Layer norms may have the names of the first BERTs,
// gamma and beta. Weights stay memory-mapped. A checkpoint of another type of
// model is an error that wraps [ErrConfig]. A tensor that is missing, or whose
// shape differs from config.json, is an error that names it.
func Load(ctx context.Context, dir string, opts LoadOptions) (*Model, error) {
	capture := func(files *checkpoint.Model, c Config) (*Model, error) {
		m := &Model{Config: c, files: files}
		return m, m.load()
	}
	return checkpoint.Load(ctx, dir, checkpoint.Options{Progress: opts.Progress, Hashes: opts.Hashes, Logger: opts.Logger}, ParseConfig, capture)
}

// Close unmaps the weights. Afterwards the program cannot send weights to an
// executor.
func (m *Model) Close() error { return m.files.Close() }

func (m *Model) load() error {
	g := m.files.NewGraph("bert")
	m.Graph = g
	m.Tokens = g.Input("tokens", lazy.I32, "batch", "seq")
	m.Types = g.Input("types", lazy.I32, "batch", "seq")
	m.Mask = g.Input("mask", lazy.I32, "batch", "seq")
	if m.Config.roberta() {
		m.Positions = g.Input("positions", lazy.I32, "batch", "seq")
	} else {
		m.Positions = g.Input("positions", lazy.I32, 1, "seq")
	}
	activate, err := activation.Named(m.Config.Activation)
	if err != nil {
		return err
	}
	b := &builder{c: m.Config, tensors: m.files.Tensors(g, m.Config.prefix()), g: g, activate: activate}
	rows := b.encode(m)
	if b.err != nil {
		return b.err
	}
	b.tensors.WarnUnused(func(name string) bool { return strings.HasPrefix(name, "encoder.layer.") }, "position_ids")
	m.Rows = g.Output("rows", rows)
	m.Mean = g.Output("mean", mean(rows, m.Mask))
	return g.Err()
}

// mean averages rows [batch, seq, hidden] where mask [batch, seq] is 1.
func mean(rows, mask *lazy.Tensor) *lazy.Tensor {
	w := lazy.Cast(mask, lazy.F32)
	sum := lazy.Sum(lazy.Mul(rows, lazy.Reshape(w, "batch", "seq", 1)), 1)
	return lazy.Div(sum, lazy.Reshape(lazy.Sum(w, 1), "batch", 1))
}

// builder captures the program; the first error sticks.
type builder struct {
	c        Config
	tensors  *checkpoint.Tensors
	g        *lazy.Graph
	activate activation.Func
	err      error
}

// weight adds a tensor of the checkpoint.
func (b *builder) weight(name string, shape ...int) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	w := b.tensors.WeightAs(name, b.c.prefix()+name, shape...)
	b.err = b.tensors.Err()
	return w
}

// linear is a layer with weights [out, in], as PyTorch stores them.
func (b *builder) linear(name string, x *lazy.Tensor, in, out int) *lazy.Tensor {
	w, bias := b.weight(name+".weight", out, in), b.weight(name+".bias", out)
	if b.err != nil {
		return nil
	}
	return lazy.Bias(lazy.MatMul(x, w, lazy.TransB), bias)
}

func (b *builder) norm(name string, x *lazy.Tensor) *lazy.Tensor {
	gamma, beta := b.weight(name+".weight", b.c.Hidden), b.weight(name+".bias", b.c.Hidden)
	if b.err != nil {
		return nil
	}
	return lazy.LayerNorm(x, gamma, beta, b.c.Epsilon)
}

// encode is the embeddings and the layers.
func (b *builder) encode(m *Model) *lazy.Tensor {
	words := b.weight("embeddings.word_embeddings.weight", b.c.Vocab, b.c.Hidden)
	types := b.weight("embeddings.token_type_embeddings.weight", b.c.Types, b.c.Hidden)
	places := b.weight("embeddings.position_embeddings.weight", b.c.Positions, b.c.Hidden)
	if b.err != nil {
		return nil
	}
	h := lazy.Add(lazy.Embedding(words, m.Tokens), lazy.Embedding(types, m.Types))
	h = b.norm("embeddings.LayerNorm", lazy.Add(h, lazy.Embedding(places, m.Positions)))
	hide := lazy.Sub(b.g.Const([]float32{1}, 1), lazy.Cast(m.Mask, lazy.F32))
	hide = lazy.Reshape(lazy.Scale(hide, -math.MaxFloat32), "batch", 1, 1, "seq")
	for i := range b.c.Layers {
		h = b.layer(fmt.Sprintf("encoder.layer.%d.", i), h, hide)
		if b.err != nil {
			return nil
		}
	}
	return h
}

// layer is attention and a feed-forward part, each with a residual and a layer
// norm after it. hide [batch, 1, 1, seq] is added to the scores.
func (b *builder) layer(name string, h, hide *lazy.Tensor) *lazy.Tensor {
	c := b.c
	heads := func(part string) *lazy.Tensor {
		x := b.linear(name+"attention.self."+part, h, c.Hidden, c.Hidden)
		if b.err != nil {
			return nil
		}
		return lazy.Transpose(lazy.Reshape(x, "batch", "seq", c.Heads, c.HeadDim()), 0, 2, 1, 3)
	}
	q, k, v := heads("query"), heads("key"), heads("value")
	if b.err != nil {
		return nil
	}
	scores := lazy.Scale(lazy.MatMul(q, k, lazy.TransB), float32(1/math.Sqrt(float64(c.HeadDim()))))
	x := lazy.MatMul(lazy.Softmax(lazy.Add(scores, hide), -1), v)
	x = lazy.Reshape(lazy.Transpose(x, 0, 2, 1, 3), "batch", "seq", c.Hidden)
	h = b.residual(name+"attention.output", x, h, c.Hidden)
	x = b.linear(name+"intermediate.dense", h, c.Hidden, c.Inner)
	if b.err != nil {
		return nil
	}
	return b.residual(name+"output", b.activate(x), h, c.Inner)
}

// residual is a linear layer of x [..., in], with h added, normalised.
func (b *builder) residual(name string, x, h *lazy.Tensor, in int) *lazy.Tensor {
	x = b.linear(name+".dense", x, in, b.c.Hidden)
	if b.err != nil {
		return nil
	}
	return b.norm(name+".LayerNorm", lazy.Add(x, h))
}
