package resnet

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrConfig marks a config.json that is broken or asks for something this
// package does not do.
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
	Channels    int    `json:"num_channels"`
	Embedding   int    `json:"embedding_size"` // channels after the stem
	HiddenSizes []int  `json:"hidden_sizes"`   // output channels by stage
	Depths      []int  `json:"depths"`         // layers by stage
	LayerType   string `json:"layer_type"`     // Basic or Bottleneck
	Activation  string `json:"hidden_act"`
	// DownsampleInFirstStage halves the image in the first stage too.
	DownsampleInFirstStage bool `json:"downsample_in_first_stage"`
	// DownsampleInBottleneck halves it in the 1x1 convolution of a bottleneck,
	// not in the 3x3 one.
	DownsampleInBottleneck bool `json:"downsample_in_bottleneck"`

	Labels map[string]string `json:"id2label"`
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

// ParseConfig reads config.json. Errors wrap [ErrConfig] and name the field.
func ParseConfig(text []byte) (Config, error) {
	// What transformers assumes where config.json is silent.
	c := Config{
		Channels: 3, Embedding: 64, HiddenSizes: []int{256, 512, 1024, 2048}, Depths: []int{3, 4, 6, 3},
		LayerType: Bottleneck, Activation: "relu",
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if c.Labels == nil {
		c.Labels = map[string]string{"0": "LABEL_0", "1": "LABEL_1"}
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
	case c.Activation != "relu":
		return fmt.Errorf("%w: hidden_act is %.40q, not relu", ErrConfig, c.Activation)
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
