package resnet

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// normEpsilon is added to variances: PyTorch's default, which transformers
// uses.
const normEpsilon = 1e-5

// usualSize is the height and width of images where nothing else is said.
const usualSize = 224

// Model is a ResNet checkpoint captured as a program. It is safe for concurrent
// use until Close.
type Model struct {
	Config Config
	Graph  *lazy.Graph
	// Pixels is the input, f32 [batch, channels, height, width]: preprocessed
	// images.
	Pixels *lazy.Tensor
	// Logits is the output, f32 [batch, classes].
	Logits *lazy.Tensor
	files  *checkpoint.Model
}

// LoadOptions configure [Load]. The zero value is ready to use.
type LoadOptions struct {
	// Size is the height and width of the images, 224 if it is 0.
	Size int
	// Height and Width, if not 0, are those of images that are not square.
	Height, Width int
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

// Load opens a directory in the Hugging Face layout of
// ResNetForImageClassification: config.json and model.safetensors, or shards
// with an index. Weights stay memory-mapped. A checkpoint of another type of
// model is an error that wraps [ErrConfig]. A tensor that is missing, or whose
// shape differs from config.json, is an error that names it.
func Load(ctx context.Context, dir string, opts LoadOptions) (*Model, error) {
	capture := func(files *checkpoint.Model, c Config) (*Model, error) {
		m := &Model{Config: c, files: files}
		return m, m.load(cmp.Or(opts.Height, opts.Size, usualSize), cmp.Or(opts.Width, opts.Size, usualSize))
	}
	return checkpoint.Load(ctx, dir, checkpoint.Options{Progress: opts.Progress, Hashes: opts.Hashes, Logger: opts.Logger}, ParseConfig, capture)
}

// Close unmaps the weights. Afterwards the program cannot send weights to an
// executor.
func (m *Model) Close() error { return m.files.Close() }

func (m *Model) load(height, width int) error {
	m.Graph = m.files.NewGraph("resnet")
	activate, err := activation.Named(m.Config.Activation)
	if err != nil {
		return err
	}
	b := &builder{c: m.Config, tensors: m.files.Tensors(m.Graph, inner), g: m.Graph, activation: activate}
	m.Pixels = m.Graph.Input("pixels", lazy.F32, "batch", m.Config.Channels, height, width)
	m.Logits = m.Graph.Output("logits", b.classify(b.encode(m.Pixels)))
	if b.err != nil {
		return b.err
	}
	b.tensors.WarnUnused(func(name string) bool { return strings.HasPrefix(name, "encoder.stages.") }, ".num_batches_tracked")
	return m.Graph.Err()
}

// inner is the start of tensor names in the files of
// ResNetForImageClassification.
const inner = "resnet."

// builder captures the program; the first error sticks.
type builder struct {
	c          Config
	tensors    *checkpoint.Tensors
	g          *lazy.Graph
	activation activation.Func
	err        error
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

// conv is a convolution with "same" padding and its batch normalisation.
func (b *builder) conv(name string, x *lazy.Tensor, in, out, kernel, stride int) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	w := b.weight(name+".convolution.weight", out, in, kernel, kernel)
	n := name + ".normalization."
	gamma, beta := b.weight(n+"weight", out), b.weight(n+"bias", out)
	mean, variance := b.weight(n+"running_mean", out), b.weight(n+"running_var", out)
	if b.err != nil {
		return nil
	}
	x = lazy.Conv2D(x, w, nil, lazy.Conv{Stride: [2]int{stride, stride}, Pad: [2]int{kernel / 2, kernel / 2}})
	return lazy.BatchNorm(x, gamma, beta, mean, variance, normEpsilon)
}

// encode is the stem and the stages.
func (b *builder) encode(x *lazy.Tensor) *lazy.Tensor {
	h := b.conv("resnet.embedder.embedder", x, b.c.Channels, b.c.Embedding, 7, 2)
	if b.err != nil {
		return nil
	}
	h = lazy.MaxPool2D(b.activation(h), [2]int{3, 3}, [2]int{2, 2}, [2]int{1, 1})
	in := b.c.Embedding
	for i, out := range b.c.HiddenSizes {
		stride := 2
		if i == 0 && !b.c.DownsampleInFirstStage {
			stride = 1
		}
		for j := range b.c.Depths[i] {
			h = b.layer(fmt.Sprintf("resnet.encoder.stages.%d.layers.%d.", i, j), h, in, out, stride)
			in, stride = out, 1
		}
	}
	return h
}

// layer is a residual layer of either kind.
func (b *builder) layer(name string, x *lazy.Tensor, in, out, stride int) *lazy.Tensor {
	short := x
	if in != out || stride != 1 {
		short = b.conv(name+"shortcut", x, in, out, 1, stride)
	}
	var h *lazy.Tensor
	if b.c.LayerType == Basic {
		h = b.relu(b.conv(name+"layer.0", x, in, out, 3, stride))
		h = b.conv(name+"layer.1", h, out, out, 3, 1)
	} else {
		narrow, first, second := out/4, 1, stride
		if b.c.DownsampleInBottleneck {
			first, second = stride, 1
		}
		h = b.relu(b.conv(name+"layer.0", x, in, narrow, 1, first))
		h = b.relu(b.conv(name+"layer.1", h, narrow, narrow, 3, second))
		h = b.conv(name+"layer.2", h, narrow, out, 1, 1)
	}
	if b.err != nil {
		return nil
	}
	return b.activation(lazy.Add(h, short))
}

// relu is the activation within a residual layer. It is ReLU, whatever
// activation the config gives the other layers.
func (b *builder) relu(x *lazy.Tensor) *lazy.Tensor {
	if b.err != nil {
		return nil
	}
	return lazy.ReLU(x)
}

// classify is the mean over the image and a linear layer.
func (b *builder) classify(h *lazy.Tensor) *lazy.Tensor {
	width := b.c.HiddenSizes[len(b.c.HiddenSizes)-1]
	w, bias := b.weight("classifier.1.weight", b.c.Classes(), width), b.weight("classifier.1.bias", b.c.Classes())
	if b.err != nil {
		return nil
	}
	return lazy.Bias(lazy.MatMul(lazy.Mean(h, 2, 3), w, lazy.TransB), bias)
}
