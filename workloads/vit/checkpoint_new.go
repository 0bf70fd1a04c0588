package vit

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/genie-sdk/go/internal/randomweights"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/workloads"
)

// Presets are the architectures that [Preset] knows, smallest first.
func Presets() []string { return []string{"vit-base-patch16-224", "vit-large-patch16-224"} }

const imageNetClasses = 1000

// Preset is the architecture of a published ViT (Dosovitskiy et al., table 1) with the
// 1,000 classes of ImageNet, as its config.json on the Hugging Face hub says.
func Preset(name string) (Config, bool) {
	c := defaultConfig()
	switch name {
	case "vit-base-patch16-224":
	case "vit-large-patch16-224":
		c.Hidden, c.Inner, c.Layers, c.Heads = 1024, 4096, 24, 16
	default:
		return Config{}, false
	}
	c.HeadDim = c.Hidden / c.Heads
	c.Labels = make(map[string]string, imageNetClasses)
	for i := range imageNetClasses {
		c.Labels[strconv.Itoa(i)] = "LABEL_" + strconv.Itoa(i)
	}
	return c, true
}

// NewCheckpoint writes a checkpoint with random weights to dir, made if absent:
// config.json, preprocessor_config.json and model.safetensors, with the names and
// layouts of transformers' ViTForImageClassification, loadable by it. preset is a name
// that [Preset] knows. The seed and the type fix every byte on every machine.
// Cancelling ctx removes what is under way.
func NewCheckpoint(ctx context.Context, preset string, seed uint64, dir string, opts workloads.CheckpointOptions) error {
	c, ok := Preset(preset)
	if !ok {
		return fmt.Errorf("%w: %q", workloads.ErrUnknownArchitecture, preset)
	}
	return NewCheckpointOf(ctx, c, seed, dir, opts)
}

// NewCheckpointOf is [NewCheckpoint] for any architecture.
func NewCheckpointOf(ctx context.Context, c Config, seed uint64, dir string, opts workloads.CheckpointOptions) error {
	if err := c.check(); err != nil {
		return err
	}
	dtype, err := randomweights.Options(opts).Storage()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	config, err := c.json(dtype)
	if err != nil {
		return err
	}
	pre, err := c.preprocessor()
	if err != nil {
		return err
	}
	return randomweights.Write(ctx, dir, randomweights.Checkpoint{
		Specs: specs(c), Config: config, Files: map[string][]byte{randomweights.PreprocessorFile: pre},
	}, seed, randomweights.Options(opts))
}

// Parameters is the number of weights.
func (c Config) Parameters() int64 { return randomweights.Parameters(specs(c)) }

// json is a config.json that transformers reads.
func (c Config) json(dtype safetensors.DType) ([]byte, error) {
	ids := make(map[string]int, len(c.Labels))
	for id, label := range c.Labels {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, fmt.Errorf("%w: id2label has the id %.40q", ErrConfig, id)
		}
		ids[label] = n
	}
	dtypes := map[safetensors.DType]string{safetensors.F32: "float32", safetensors.F16: "float16", safetensors.BF16: "bfloat16"}
	return text("config.json", map[string]any{
		"architectures":       []string{"ViTForImageClassification"},
		"model_type":          modelType,
		"hidden_size":         c.Hidden,
		"intermediate_size":   c.Inner,
		"num_hidden_layers":   c.Layers,
		"num_attention_heads": c.Heads,
		"head_dim":            c.HeadDim,
		"hidden_act":          c.Activation,
		"layer_norm_eps":      c.Epsilon,
		"qkv_bias":            c.QKVBias,
		"num_channels":        c.Channels,
		"image_size":          c.Image,
		"patch_size":          c.Patch,
		"id2label":            c.Labels,
		"label2id":            ids,
		"torch_dtype":         dtypes[dtype],
	})
}

// preprocessor is the preprocessor_config.json of published ViTs.
func (c Config) preprocessor() ([]byte, error) {
	const bilinear = 2 // PIL's number of the filter
	half := []float64{0.5, 0.5, 0.5}
	return text(randomweights.PreprocessorFile, map[string]any{
		"image_processor_type": "ViTImageProcessor",
		"do_resize":            true,
		"size":                 map[string]int{"height": c.Image[0], "width": c.Image[1]},
		"resample":             bilinear,
		"do_rescale":           true,
		"rescale_factor":       1.0 / 255,
		"do_normalize":         true,
		"image_mean":           half,
		"image_std":            half,
	})
}

func text(file string, content map[string]any) ([]byte, error) {
	out, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", file, err)
	}
	return append(out, '\n'), nil
}

// The sizes of the random weights. Those of a matrix are divided by the square
// root of its inputs, and of the last one of a residual part also by that of
// twice the layers, so that the stream does not grow with depth. Scores stay of
// order 1, since an attention close to a hard choice amplifies rounding.
const (
	stdPatch  = 1.0
	stdClass  = 0.5
	stdPlace  = 0.3 // of positions, beside patches of order 1
	stdScores = 1.0 // queries and keys
	stdValues = 1.5 // and the matrices of the feed-forward part
	stdLogits = 3.0
	stdGain   = 0.1 // around 1
	stdBias   = 0.02
)

// specs lists the tensors in the order of the file.
func specs(c Config) []randomweights.Spec {
	s := &specList{}
	const e = prefix + "embeddings."
	fan := c.Channels * c.Patch[0] * c.Patch[1]
	s.add(e+"cls_token", 0, stdClass, 1, 1, c.Hidden)
	s.add(e+"position_embeddings", 0, stdPlace, 1, 1+c.Patches(), c.Hidden)
	s.add(e+"patch_embeddings.projection.weight", 0, stdPatch/math.Sqrt(float64(fan)), c.Hidden, c.Channels, c.Patch[0], c.Patch[1])
	s.add(e+"patch_embeddings.projection.bias", 0, stdBias, c.Hidden)
	width, depth := c.Heads*c.HeadDim, math.Sqrt(2*float64(c.Layers))
	for i := range c.Layers {
		p := fmt.Sprintf("%sencoder.layer.%d.", prefix, i)
		s.linear(p+"attention.attention.query", stdScores, c.Hidden, width, c.QKVBias)
		s.linear(p+"attention.attention.key", stdScores, c.Hidden, width, c.QKVBias)
		s.linear(p+"attention.attention.value", stdValues, c.Hidden, width, c.QKVBias)
		s.linear(p+"attention.output.dense", stdValues/depth, width, c.Hidden, true)
		s.norm(p+"layernorm_before", c.Hidden)
		s.norm(p+"layernorm_after", c.Hidden)
		s.linear(p+"intermediate.dense", stdValues, c.Hidden, c.Inner, true)
		s.linear(p+"output.dense", stdValues/depth, c.Inner, c.Hidden, true)
	}
	s.norm(prefix+"layernorm", c.Hidden)
	s.linear("classifier", stdLogits, c.Hidden, c.Classes(), true)
	return s.specs
}

type specList struct{ specs []randomweights.Spec }

func (s *specList) add(name string, mean, std float64, shape ...int) {
	dims := make([]int64, len(shape))
	for i, n := range shape {
		dims[i] = int64(n)
	}
	s.specs = append(s.specs, randomweights.Spec{Name: name, Shape: dims, Mean: mean, Std: std})
}

func (s *specList) linear(name string, std float64, in, out int, bias bool) {
	s.add(name+".weight", 0, std/math.Sqrt(float64(in)), out, in)
	if bias {
		s.add(name+".bias", 0, stdBias, out)
	}
}

func (s *specList) norm(name string, hidden int) {
	s.add(name+".weight", 1, stdGain, hidden)
	s.add(name+".bias", 0, stdBias, hidden)
}
