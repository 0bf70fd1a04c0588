package easyvqa

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// colours is the number of channels of an image: red, green, blue.
const colours = 3

// normEpsilon is added to variances: PyTorch's default.
const normEpsilon = 1e-5

// Model is a trained network captured as a program. It is safe for concurrent
// use until Close.
type Model struct {
	Config Config
	Graph  *lazy.Graph
	// Pixels is an input, f32 [images, 3, size, size], as [Pixels] makes them.
	Pixels *lazy.Tensor
	// Image is an input, i32 [questions]: which of the images each question is
	// about.
	Image *lazy.Tensor
	// Words is an input, i32 [questions, words]: the ids of the words, 0 for
	// none.
	Words *lazy.Tensor
	// ImageFeatures f32 [images, features] and TextFeatures f32 [questions,
	// features] are the ends of the branches.
	ImageFeatures, TextFeatures *lazy.Tensor
	// Logits is an output, f32 [questions, answers].
	Logits *lazy.Tensor
	// Best is an output, i32 [questions]: the class of the answer.
	Best *lazy.Tensor

	files *checkpoint.Model
	vocab vocabulary
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
}

// Load opens a directory with config.json and model.safetensors, as
// testdata/scripts/train_easy_vqa.py writes it. Weights stay memory-mapped. A
// tensor that is missing, or whose shape differs from config.json, is an error
// that names it.
func Load(ctx context.Context, dir string, opts LoadOptions) (*Model, error) {
	capture := func(files *checkpoint.Model, c Config) (*Model, error) {
		m := &Model{Config: c, files: files}
		return m, m.load()
	}
	return checkpoint.Load(ctx, dir, checkpoint.Options{Progress: opts.Progress, Hashes: opts.Hashes}, ParseConfig, capture)
}

// Close unmaps the weights. Afterwards the program cannot send weights to an
// executor.
func (m *Model) Close() error { return m.files.Close() }

func (m *Model) load() error {
	m.vocab = newVocabulary(m.Config.Vocab)
	m.Graph = m.files.NewGraph("easy-vqa")
	b := &builder{c: m.Config, tensors: m.files.Tensors(m.Graph, ""), g: m.Graph}
	m.Pixels = m.Graph.Input("pixels", lazy.F32, "images", colours, m.Config.Size, m.Config.Size)
	m.Image = m.Graph.Input("image", lazy.I32, "questions")
	m.Words = m.Graph.Input("words", lazy.I32, "questions", "words")
	m.ImageFeatures = b.look(m.Pixels)
	m.TextFeatures = b.read(m.Words)
	logits := b.answer(m.ImageFeatures, m.Image, m.TextFeatures)
	if b.err != nil {
		return b.err
	}
	m.Logits = m.Graph.Output("logits", logits)
	m.Best = m.Graph.Output("best", lazy.ArgMax(logits, -1))
	return m.Graph.Err()
}

// builder captures the program; the first error sticks.
type builder struct {
	c       Config
	tensors *checkpoint.Tensors
	g       *lazy.Graph
	err     error
}

// weight adds a tensor of the checkpoint. After an error it returns nil, and
// everything computed from that is an error.
func (b *builder) weight(name string, shape ...int) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	w := b.tensors.WeightAs(name, name, shape...)
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

// look is the image branch: 3x3 convolutions, each followed by batch
// normalisation, ReLU and the maximum over 2x2; then the maximum over the
// remaining image, a linear layer and tanh: [images, features].
func (b *builder) look(x *lazy.Tensor) *lazy.Tensor {
	in := colours
	for i, out := range b.c.Channels {
		w := b.weight(fmt.Sprintf("conv.%d.weight", i), out, in, 3, 3)
		n := fmt.Sprintf("norm.%d.", i)
		gamma, beta := b.weight(n+"weight", out), b.weight(n+"bias", out)
		mean, variance := b.weight(n+"running_mean", out), b.weight(n+"running_var", out)
		if b.err != nil {
			return nil
		}
		x = lazy.Conv2D(x, w, nil, lazy.Conv{Pad: [2]int{1, 1}})
		x = lazy.ReLU(lazy.BatchNorm(x, gamma, beta, mean, variance, normEpsilon))
		x = lazy.MaxPool2D(x, [2]int{2, 2}, [2]int{2, 2}, [2]int{0, 0})
		in = out
	}
	return b.tanh(b.linear("image", lazy.Max(x, 2, 3), in, b.c.Features))
}

// read is the question branch: the sum of its words' embeddings, then linear
// layers and tanh: [questions, features].
func (b *builder) read(words *lazy.Tensor) *lazy.Tensor {
	table := b.weight("words.weight", len(b.c.Vocab), b.c.Embedding)
	if b.err != nil {
		return nil
	}
	x := lazy.Sum(lazy.Embedding(table, words), 1)
	x = b.tanh(b.linear("text.0", x, b.c.Embedding, b.c.Features))
	return b.tanh(b.linear("text.1", x, b.c.Features, b.c.Features))
}

// answer joins the branches: each question with the image that it is about.
func (b *builder) answer(image, which, text *lazy.Tensor) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	x := lazy.Mul(lazy.Embedding(image, which), text)
	x = b.linear("hidden", x, b.c.Features, b.c.Features)
	if b.err != nil {
		return nil
	}
	return b.linear("answer", lazy.ReLU(x), b.c.Features, len(b.c.Answers))
}

func (b *builder) tanh(x *lazy.Tensor) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	return lazy.Tanh(x)
}
