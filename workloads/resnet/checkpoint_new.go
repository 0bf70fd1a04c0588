package resnet

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
func Presets() []string { return []string{"resnet-18", "resnet-50", "resnet-152"} }

const imageNetClasses = 1000

// Preset is the architecture of a published ResNet (He et al., table 1) with
// the 1,000 classes of ImageNet, as in its config.json on the Hugging Face hub.
func Preset(name string) (Config, bool) {
	c := Config{Channels: 3, Embedding: 64, LayerType: Bottleneck, Activation: "relu", HiddenSizes: []int{256, 512, 1024, 2048}}
	switch name {
	case "resnet-18":
		c.LayerType, c.HiddenSizes, c.Depths = Basic, []int{64, 128, 256, 512}, []int{2, 2, 2, 2}
	case "resnet-50":
		c.Depths = []int{3, 4, 6, 3}
	case "resnet-152":
		c.Depths = []int{3, 8, 36, 3}
	default:
		return Config{}, false
	}
	c.Labels = make(map[string]string, imageNetClasses)
	for i := range imageNetClasses {
		c.Labels[strconv.Itoa(i)] = "LABEL_" + strconv.Itoa(i)
	}
	return c, true
}

// NewCheckpoint writes a checkpoint with random weights to dir, made if absent:
// config.json, preprocessor_config.json and model.safetensors, with the names
// and layouts of transformers' ResNetForImageClassification, loadable by it.
// preset is a name that [Preset] knows. The seed and the type fix every byte on
// every machine. Cancelling ctx removes what is under way.
func NewCheckpoint(ctx context.Context, preset string, seed uint64, dir string, opts workloads.CheckpointOptions) error {
	c, ok := Preset(preset)
	if !ok {
		return fmt.Errorf("%w: %q", randomweights.ErrUnknown, preset)
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
	// ImageNet's statistics, and a crop of 7/8.
	pre, err := randomweights.Preprocessing{
		Resize: 256, Crop: 224, Mean: [3]float64{0.485, 0.456, 0.406}, Std: [3]float64{0.229, 0.224, 0.225},
	}.JSON()
	if err != nil {
		return err
	}
	return randomweights.Write(ctx, dir, randomweights.Checkpoint{
		Specs: specs(c), Config: config, Files: map[string][]byte{randomweights.PreprocessorFile: pre},
	}, seed, randomweights.Options(opts))
}

// Parameters is the number of weights, running statistics included.
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
	text, err := json.MarshalIndent(map[string]any{
		"architectures":             []string{"ResNetForImageClassification"},
		"model_type":                "resnet",
		"num_channels":              c.Channels,
		"embedding_size":            c.Embedding,
		"hidden_sizes":              c.HiddenSizes,
		"depths":                    c.Depths,
		"layer_type":                c.LayerType,
		"hidden_act":                c.Activation,
		"downsample_in_first_stage": c.DownsampleInFirstStage,
		"downsample_in_bottleneck":  c.DownsampleInBottleneck,
		"id2label":                  c.Labels,
		"label2id":                  ids,
		"torch_dtype":               dtypes[dtype],
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write config.json: %w", err)
	}
	return append(text, '\n'), nil
}

// The sizes of the random weights.
const (
	normSpread  = 0.1  // of gains, relative, and of variances around 1
	normShift   = 0.1  // of biases and running means
	logitSpread = 6.0  // of the classifier's weights, over sqrt(width)
	biasSpread  = 0.02 // of the classifier's bias
)

// specs lists the tensors in the order of the file, counters first: the format
// requires wider types before narrower ones.
//
// Filters are initialised as by He et al., and running statistics are those of
// normal activations, so a convolution with its normalisation and ReLU
// preserves the mean square of its input. Running statistics do not follow the
// data, so a residual layer adds to the mean square of the stream, and over
// many layers that would be a power of two for each. With a gain of
// 1/sqrt(2*layers) in the last normalisation of a layer, each layer adds
// 1/layers of the stream and the whole network multiplies it by at most e.
func specs(c Config) []randomweights.Spec {
	s := &specList{last: 1 / math.Sqrt(2*float64(c.Layers()))}
	s.conv("resnet.embedder.embedder", c.Channels, c.Embedding, 7, 1)
	in := c.Embedding
	for i, out := range c.HiddenSizes {
		for j := range c.Depths[i] {
			strided := j == 0 && (i > 0 || c.DownsampleInFirstStage)
			s.layer(c, fmt.Sprintf("resnet.encoder.stages.%d.layers.%d.", i, j), in, out, strided)
			in = out
		}
	}
	classes, width := int64(c.Classes()), int64(in)
	s.floats = append(s.floats,
		randomweights.Spec{Name: "classifier.1.weight", Shape: []int64{classes, width}, Std: logitSpread / math.Sqrt(float64(width))},
		randomweights.Spec{Name: "classifier.1.bias", Shape: []int64{classes}, Std: biasSpread})
	return append(s.counters, s.floats...)
}

type specList struct {
	counters, floats []randomweights.Spec
	last             float64 // gain at the end of a residual layer
}

func (s *specList) layer(c Config, name string, in, out int, strided bool) {
	if in != out || strided {
		s.conv(name+"shortcut", in, out, 1, 1)
	}
	if c.LayerType == Basic {
		s.conv(name+"layer.0", in, out, 3, 1)
		s.conv(name+"layer.1", out, out, 3, s.last)
		return
	}
	narrow := out / 4
	s.conv(name+"layer.0", in, narrow, 1, 1)
	s.conv(name+"layer.1", narrow, narrow, 3, 1)
	s.conv(name+"layer.2", narrow, out, 1, s.last)
}

// conv is a convolution with its normalisation.
func (s *specList) conv(name string, in, out, kernel int, gain float64) {
	o, k := int64(out), int64(kernel)
	fan := int64(in) * k * k
	n := name + ".normalization."
	s.counters = append(s.counters, randomweights.Spec{Name: n + "num_batches_tracked", DType: safetensors.I64})
	s.floats = append(s.floats,
		randomweights.Spec{Name: name + ".convolution.weight", Shape: []int64{o, int64(in), k, k}, Std: randomweights.HeStd(fan)},
		randomweights.Spec{Name: n + "weight", Shape: []int64{o}, Mean: gain, Std: gain * normSpread},
		randomweights.Spec{Name: n + "bias", Shape: []int64{o}, Std: normShift * gain},
		randomweights.Spec{Name: n + "running_mean", Shape: []int64{o}, Std: normShift},
		randomweights.Spec{Name: n + "running_var", Shape: []int64{o}, Mean: 1, Std: normSpread})
}
