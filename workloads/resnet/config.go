package resnet

import (
	"errors"
	"fmt"

	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// ErrConfig marks a config.json that is broken or that this package does not
// support.
var ErrConfig = errors.New("genie: unusable ResNet config")

// Upper bounds of a config, far above any ResNet.
const (
	maxStages   = 16
	maxDepth    = 1 << 10
	maxChannels = 1 << 16
)

// The kinds of layers, as config.json names them.
const (
	Basic      = "basic"      // two 3x3 convolutions
	Bottleneck = "bottleneck" // 1x1, 3x3, 1x1
)

// Config is the architecture of a ResNet, as config.json of a Hugging Face
// checkpoint gives it (transformers, models/resnet/configuration_resnet.py).
type Config struct {
	Channels    int    // num_channels
	Embedding   int    // embedding_size, channels after the stem
	HiddenSizes []int  // hidden_sizes, output channels by stage
	Depths      []int  // depths, layers by stage
	LayerType   string // layer_type, Basic or Bottleneck
	Activation  string // hidden_act, one of package activation
	// DownsampleInFirstStage also halves the image in the first stage.
	DownsampleInFirstStage bool
	// DownsampleInBottleneck halves the image in the 1x1 convolution of a
	// bottleneck, not in the 3x3 one.
	DownsampleInBottleneck bool

	// Labels are id2label, one per class; or LABEL_0 and so on, if it is absent
	// or num_labels is another number.
	Labels map[string]string
}

// Classes is the number of classes.
func (c Config) Classes() int { return len(c.Labels) }

// Layers is the number of residual layers.
func (c Config) Layers() int {
	n := 0
	for _, d := range c.Depths {
		n += d
	}
	return n
}

// ParseConfig reads config.json. Fields that the computation does not use are
// ignored. Errors wrap [ErrConfig] and name the field.
func ParseConfig(text []byte) (Config, error) {
	file, err := checkpoint.ParseConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := checkpoint.CheckType(file, "resnet"); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	// The defaults of transformers for fields that config.json lacks.
	c := Config{
		Channels: 3, Embedding: 64, HiddenSizes: []int{256, 512, 1024, 2048}, Depths: []int{3, 4, 6, 3},
		LayerType: Bottleneck, Activation: "relu",
	}
	r := file.Reader()
	r.Int("num_channels", &c.Channels)
	r.Int("embedding_size", &c.Embedding)
	r.Ints("hidden_sizes", &c.HiddenSizes)
	r.Ints("depths", &c.Depths)
	r.String("layer_type", &c.LayerType)
	r.String("hidden_act", &c.Activation)
	r.Bool("downsample_in_first_stage", &c.DownsampleInFirstStage)
	r.Bool("downsample_in_bottleneck", &c.DownsampleInBottleneck)
	if err := r.Err(); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if c.Labels, err = checkpoint.Labels(file); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c, c.check()
}

func (c Config) check() error {
	switch {
	case c.Channels < 1 || c.Channels > maxChannels:
		return fmt.Errorf("%w: num_channels is %d", ErrConfig, c.Channels)
	case c.Embedding < 1 || c.Embedding > maxChannels:
		return fmt.Errorf("%w: embedding_size is %d", ErrConfig, c.Embedding)
	case len(c.Depths) == 0 || len(c.Depths) > maxStages || len(c.Depths) != len(c.HiddenSizes):
		return fmt.Errorf("%w: depths for %d stages, hidden_sizes for %d", ErrConfig, len(c.Depths), len(c.HiddenSizes))
	case c.LayerType != Basic && c.LayerType != Bottleneck:
		return fmt.Errorf("%w: layer_type is %.40q, not basic or bottleneck", ErrConfig, c.LayerType)
	}
	if _, err := activation.Named(c.Activation); err != nil {
		return fmt.Errorf("%w: hidden_act: %w", ErrConfig, err)
	}
	for i, n := range c.HiddenSizes {
		if n < 1 || n > maxChannels || c.LayerType == Bottleneck && n < 4 {
			return fmt.Errorf("%w: hidden_sizes[%d] is %d", ErrConfig, i, n)
		}
		if c.Depths[i] < 1 || c.Depths[i] > maxDepth {
			return fmt.Errorf("%w: depths[%d] is %d", ErrConfig, i, c.Depths[i])
		}
	}
	return nil
}
