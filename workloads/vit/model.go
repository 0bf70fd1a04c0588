package vit

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

// Model is a ViT checkpoint captured as a program. It is safe for concurrent use until
// Close.
type Model struct {
	Config Config
	Graph  *lazy.Graph
	// Pixels is the input, f32 [batch, channels, height, width]: preprocessed images of
	// the size that the config gives.
	Pixels *lazy.Tensor
	// Logits is the output, f32 [batch, classes].
	Logits *lazy.Tensor
	files  *checkpoint.Model
}

// LoadOptions configure [Load]. The zero value is ready to use.
type LoadOptions struct {
	// Progress reports the bytes of weights that have been hashed, which happens once
	// for each checkpoint.
	Progress transport.Progress
	// Hashes selects where to store the hashes of the weights: a folder;
	// "cache", the default, for genie/hashes in the user's cache folder;
	// "model" for genie-hashes.json beside the model; "off" for nowhere.
	Hashes string
	// Logger reports unused tensors, at warn. Nil discards.
	Logger *slog.Logger
}

// Load opens a directory in the Hugging Face layout of ViTForImageClassification:
// config.json and model.safetensors, or shards with an index. Tensors may have the
// names of published checkpoints or those that transformers 5 uses in memory. Weights
// stay memory-mapped. A checkpoint of another type of model is an error that wraps
// [ErrConfig]. A tensor that is missing, or whose shape differs from config.json, is an
// error that names it.
func Load(ctx context.Context, dir string, opts LoadOptions) (*Model, error) {
	capture := func(files *checkpoint.Model, c Config) (*Model, error) {
		m := &Model{Config: c, files: files}
		return m, m.load()
	}
	return checkpoint.Load(ctx, dir, checkpoint.Options{Progress: opts.Progress, Hashes: opts.Hashes, Logger: opts.Logger}, ParseConfig, capture)
}

// Close unmaps the weights. Afterwards the program cannot send weights to an executor.
func (m *Model) Close() error { return m.files.Close() }

func (m *Model) load() error {
	c := m.Config
	activate, err := activation.Named(c.Activation)
	if err != nil {
		return err
	}
	m.Graph = m.files.NewGraph(modelType)
	b := &builder{c: c, tensors: m.files.Tensors(m.Graph, prefix), g: m.Graph, activate: activate}
	m.Pixels = m.Graph.Input("pixels", lazy.F32, "batch", c.Channels, c.Image[0], c.Image[1])
	m.Logits = m.Graph.Output("logits", b.classify(b.encode(b.embed(m.Pixels))))
	if b.err != nil {
		return b.err
	}
	b.tensors.WarnUnused(func(name string) bool {
		return strings.HasPrefix(name, "encoder.layer.") || strings.HasPrefix(name, "layers.")
	})
	return m.Graph.Err()
}

// prefix begins the tensor names in the files of models around the encoder.
const prefix = "vit."

// builder captures the program. After the first error it makes nothing more.
type builder struct {
	c        Config
	tensors  *checkpoint.Tensors
	g        *lazy.Graph
	activate activation.Func
	err      error
}

// inMemory are the names of the parts of a layer within transformers 5, by their names
// in published files. It loads files with either.
func inMemory(name string) string {
	return strings.NewReplacer(
		"encoder.layer.", "layers.",
		"attention.attention.query", "attention.q_proj",
		"attention.attention.key", "attention.k_proj",
		"attention.attention.value", "attention.v_proj",
		"attention.output.dense", "attention.o_proj",
		"intermediate.dense", "mlp.fc1",
		"output.dense", "mlp.fc2",
	).Replace(name)
}

// weight adds a tensor of the checkpoint.
func (b *builder) weight(name string, shape ...int) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	tensor := name
	if _, published := b.tensors.Find(name); !published {
		if other := inMemory(name); other != name {
			if _, there := b.tensors.Find(other); there {
				tensor = other
			}
		}
	}
	w := b.tensors.WeightAs(name, tensor, shape...)
	b.err = b.tensors.Err()
	return w
}

// linear is a layer with a bias; its weight is [out, in], as PyTorch stores it.
func (b *builder) linear(name string, x *lazy.Tensor, in, out int) *lazy.Tensor {
	w, bias := b.weight(name+".weight", out, in), b.weight(name+".bias", out)
	if b.err != nil {
		return nil
	}
	return lazy.Bias(lazy.MatMul(x, w, lazy.TransB), bias)
}

func (b *builder) norm(name string, x *lazy.Tensor) *lazy.Tensor {
	gain, bias := b.weight(name+".weight", b.c.Hidden), b.weight(name+".bias", b.c.Hidden)
	if b.err != nil {
		return nil
	}
	return lazy.LayerNorm(x, gain, bias, b.c.Epsilon)
}

// embed is a row for the class and one for each patch, plus their positions:
// [batch, 1+patches, hidden].
func (b *builder) embed(pixels *lazy.Tensor) *lazy.Tensor {
	const e = prefix + "embeddings."
	c := b.c
	filters := b.weight(e+"patch_embeddings.projection.weight", c.Hidden, c.Channels, c.Patch[0], c.Patch[1])
	bias := b.weight(e+"patch_embeddings.projection.bias", c.Hidden)
	class := b.weight(e+"cls_token", 1, 1, c.Hidden)
	positions := b.weight(e+"position_embeddings", 1, 1+c.Patches(), c.Hidden)
	if b.err != nil {
		return nil
	}
	patches := lazy.Conv2D(pixels, filters, bias, lazy.Conv{Stride: c.Patch})
	rows := lazy.Transpose(lazy.Reshape(patches, "batch", c.Hidden, c.Patches()), 0, 2, 1)
	return lazy.Add(lazy.Concat(1, lazy.Expand(class, "batch", 1, c.Hidden), rows), positions)
}

// encode is the layers: attention and a feed-forward part, each with a layer norm
// before it and a residual.
func (b *builder) encode(h *lazy.Tensor) *lazy.Tensor {
	for i := range b.c.Layers {
		p := fmt.Sprintf("%sencoder.layer.%d.", prefix, i)
		x := b.attention(p+"attention.", b.norm(p+"layernorm_before", h))
		if b.err != nil {
			return nil
		}
		h = lazy.Add(h, x)
		x = b.linear(p+"intermediate.dense", b.norm(p+"layernorm_after", h), b.c.Hidden, b.c.Inner)
		if b.err != nil {
			return nil
		}
		x = b.linear(p+"output.dense", b.activate(x), b.c.Inner, b.c.Hidden)
		if b.err != nil {
			return nil
		}
		h = lazy.Add(h, x)
	}
	return h
}

// attention is multi-head self-attention over x [batch, 1+patches, hidden].
func (b *builder) attention(p string, x *lazy.Tensor) *lazy.Tensor {
	c, rows := b.c, 1+b.c.Patches()
	width := c.Heads * c.HeadDim
	heads := func(name string) *lazy.Tensor {
		w := b.weight(p+"attention."+name+".weight", width, c.Hidden)
		if b.err != nil {
			return nil
		}
		y := lazy.MatMul(x, w, lazy.TransB)
		if c.QKVBias {
			bias := b.weight(p+"attention."+name+".bias", width)
			if b.err != nil {
				return nil
			}
			y = lazy.Bias(y, bias)
		}
		return lazy.Transpose(lazy.Reshape(y, "batch", rows, c.Heads, c.HeadDim), 0, 2, 1, 3)
	}
	q, k, v := heads("query"), heads("key"), heads("value")
	if b.err != nil {
		return nil
	}
	scores := lazy.Scale(lazy.MatMul(q, k, lazy.TransB), float32(1/math.Sqrt(float64(c.HeadDim))))
	out := lazy.Transpose(lazy.MatMul(lazy.Softmax(scores, -1), v), 0, 2, 1, 3)
	return b.linear(p+"output.dense", lazy.Reshape(out, "batch", rows, width), width, c.Hidden)
}

// classify is a layer norm of the row of the class and a linear layer.
func (b *builder) classify(h *lazy.Tensor) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	class := lazy.Reshape(lazy.SliceN(h, 1, 0, 1), "batch", b.c.Hidden)
	return b.linear("classifier", b.norm(prefix+"layernorm", class), b.c.Hidden, b.c.Classes())
}
