package clip

import (
	"context"
	"log/slog"
	"strings"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// Model is a CLIP checkpoint captured as a program. It is safe for concurrent
// use until Close.
type Model struct {
	Config Config
	Graph  *lazy.Graph

	// Pixels is an input, f32 [images, channels, size, size]: preprocessed
	// images.
	Pixels *lazy.Tensor
	// Tokens is an input, i32 [texts, seq]: texts as token ids, each with an end
	// token.
	Tokens *lazy.Tensor
	// Mask is an input, i32 [texts, seq]: 0 for positions that no token attends
	// to, wherever they are, such as padding.
	Mask *lazy.Tensor

	// ImageEmbeds and TextEmbeds are outputs, f32 [images, projection] and
	// [texts, projection], of length one.
	ImageEmbeds, TextEmbeds *lazy.Tensor
	// LogitsPerImage is an output, f32 [images, texts]: scaled cosines.
	LogitsPerImage *lazy.Tensor

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

// Load opens a directory in the Hugging Face layout of CLIPModel: config.json
// and model.safetensors, or shards with an index. Weights stay memory-mapped. A
// checkpoint of another type of model is an error that wraps [ErrConfig]. A
// tensor that is missing, or whose shape differs from config.json, is an error
// that names it.
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
	m.Graph = m.files.NewGraph("clip")
	b := &builder{tensors: m.files.Tensors(m.Graph, "clip."), g: m.Graph}
	m.capture(b)
	if b.err != nil {
		return b.err
	}
	b.tensors.WarnUnused(func(name string) bool {
		return strings.HasPrefix(name, "text_model.") || strings.HasPrefix(name, "vision_model.")
	}, "position_ids")
	return m.Graph.Err()
}

// capture builds both towers and the comparison of their outputs.
func (m *Model) capture(b *builder) {
	c, g := m.Config, m.Graph
	m.Pixels = g.Input("pixels", lazy.F32, "images", c.Vision.Channels, c.Vision.Image, c.Vision.Image)
	m.Tokens = g.Input("tokens", lazy.I32, "texts", "seq")
	m.Mask = g.Input("mask", lazy.I32, "texts", "seq")
	image := b.projected("visual_projection", b.vision(c.Vision, m.Pixels), c.Vision.Hidden, c.Projection)
	text := b.projected("text_projection", b.text(c.Text, m.Tokens, m.Mask), c.Text.Hidden, c.Projection)
	scale := lazy.Exp(b.weight("logit_scale"))
	logits := lazy.Mul(lazy.MatMul(image, text, lazy.TransB), scale)
	if b.err != nil {
		return
	}
	m.ImageEmbeds = g.Output("image_embeds", image)
	m.TextEmbeds = g.Output("text_embeds", text)
	m.LogitsPerImage = g.Output("logits_per_image", logits)
}

// builder captures the program. After the first error it makes tensors that
// only carry the error, and declares nothing.
type builder struct {
	tensors *checkpoint.Tensors
	g       *lazy.Graph
	err     error
}

// weight adds a tensor of the checkpoint.
func (b *builder) weight(name string, shape ...int) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	w := b.tensors.WeightAs(name, name, shape...)
	b.err = b.tensors.Err()
	return w
}

// linear is a layer with a bias; its weight is [out, in], as PyTorch stores it.
func (b *builder) linear(name string, x *lazy.Tensor, in, out int) *lazy.Tensor {
	w, bias := b.weight(name+".weight", out, in), b.weight(name+".bias", out)
	return lazy.Bias(lazy.MatMul(x, w, lazy.TransB), bias)
}

func (b *builder) norm(name string, x *lazy.Tensor, t Tower) *lazy.Tensor {
	gain, bias := b.weight(name+".weight", t.Hidden), b.weight(name+".bias", t.Hidden)
	return lazy.LayerNorm(x, gain, bias, t.Epsilon)
}

// projected projects the pooled rows of a tower to the common width and
// normalises them to length one.
func (b *builder) projected(name string, x *lazy.Tensor, in, out int) *lazy.Tensor {
	y := lazy.MatMul(x, b.weight(name+".weight", out, in), lazy.TransB)
	if b.err != nil {
		return nil
	}
	length := lazy.Sqrt(lazy.Sum(lazy.Mul(y, y), 1))
	return lazy.Div(y, lazy.Reshape(length, y.Dim(0), 1))
}
