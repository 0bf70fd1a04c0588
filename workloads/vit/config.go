package vit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// ErrConfig marks a config.json that is broken or that this package does not
// support.
var ErrConfig = errors.New("genie: unusable ViT config")

// modelType is the family's model_type in config.json.
const modelType = "vit"

// Upper bounds of a config, far above any ViT.
const (
	maxLayers = 1 << 10
	maxWidth  = 1 << 16
	maxImage  = 1 << 14
)

// used are the keys of config.json that the computation uses, besides those of the
// labels.
var used = []string{
	"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim", "hidden_act", "layer_norm_eps", "qkv_bias",
	"num_channels", "image_size", "patch_size", "is_causal",
}

// Config is the architecture of a ViT, as config.json of a Hugging Face checkpoint
// gives it (transformers, models/vit/configuration_vit.py).
type Config struct {
	Hidden     int     // hidden_size
	Inner      int     // intermediate_size
	Layers     int     // num_hidden_layers
	Heads      int     // num_attention_heads
	HeadDim    int     // head_dim; hidden_size over num_attention_heads, rounded down, if absent
	Activation string  // hidden_act, one of package activation
	Epsilon    float64 // layer_norm_eps
	QKVBias    bool    // qkv_bias
	Channels   int     // num_channels
	Image      [2]int  // image_size, height and width
	Patch      [2]int  // patch_size, height and width

	// Labels are id2label, one per class; or LABEL_0 and so on, if it is absent or
	// num_labels is another number.
	Labels map[string]string
}

// Classes is the number of classes.
func (c Config) Classes() int { return len(c.Labels) }

// Patches is the number of patches of an image. What is left at its right and bottom
// edges is ignored.
func (c Config) Patches() int { return (c.Image[0] / c.Patch[0]) * (c.Image[1] / c.Patch[1]) }

// defaultConfig has the defaults of transformers for fields that config.json lacks.
func defaultConfig() Config {
	return Config{
		Hidden: 768, Inner: 3072, Layers: 12, Heads: 12, Activation: "gelu", Epsilon: 1e-12, QKVBias: true,
		Channels: 3, Image: [2]int{224, 224}, Patch: [2]int{16, 16},
	}
}

// ParseConfig reads config.json. Fields that the computation does not use are ignored.
// Errors wrap [ErrConfig] and name the field.
func ParseConfig(text []byte) (Config, error) {
	c, err := parse(text)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c, c.check()
}

func parse(text []byte) (Config, error) {
	file, err := checkpoint.ParseConfig(text)
	if err != nil {
		return Config{}, err
	}
	if err := checkpoint.CheckType(file, modelType); err != nil {
		return Config{}, err
	}
	for _, key := range used {
		// transformers has no default in the place of a null.
		if _, there := file[key]; there && !file.Given(key) {
			return Config{}, fmt.Errorf("%w: %s is null", checkpoint.ErrType, key)
		}
	}
	c, causal := defaultConfig(), false
	r := file.Reader()
	r.Int("hidden_size", &c.Hidden)
	r.Int("intermediate_size", &c.Inner)
	r.Int("num_hidden_layers", &c.Layers)
	r.Int("num_attention_heads", &c.Heads)
	r.Int("head_dim", &c.HeadDim)
	r.String("hidden_act", &c.Activation)
	r.Float("layer_norm_eps", &c.Epsilon)
	r.Bool("qkv_bias", &c.QKVBias)
	r.Int("num_channels", &c.Channels)
	readPair(file, r, "image_size", &c.Image)
	readPair(file, r, "patch_size", &c.Patch)
	r.Bool("is_causal", &causal)
	if err := r.Err(); err != nil {
		return Config{}, err
	}
	if causal {
		return Config{}, fmt.Errorf("%w: is_causal is true, and patches attend to all patches here", workloads.ErrFamily)
	}
	if _, there := file["head_dim"]; !there && c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	c.Labels, err = checkpoint.Labels(file)
	return c, err
}

// readPair reads a height and a width: one number for both, or a list of two.
func readPair(file checkpoint.Config, r *checkpoint.Reader, key string, to *[2]int) {
	if raw, there := file[key]; !there || !strings.HasPrefix(strings.TrimSpace(string(raw)), "[") {
		both := to[0]
		r.Int(key, &both)
		*to = [2]int{both, both}
		return
	}
	var list []int
	r.Ints(key, &list)
	if len(list) != 2 {
		*to = [2]int{} // out of range, which check names
		return
	}
	*to = [2]int{list[0], list[1]}
}

func (c Config) check() error {
	for _, s := range []struct {
		field      string
		value, max int
	}{
		{"hidden_size", c.Hidden, maxWidth},
		{"intermediate_size", c.Inner, maxWidth},
		{"num_hidden_layers", c.Layers, maxLayers},
		{"num_attention_heads", c.Heads, maxWidth},
		{"head_dim", c.HeadDim, maxWidth},
		{"num_channels", c.Channels, maxWidth},
		{"image_size", c.Image[0], maxImage},
		{"image_size", c.Image[1], maxImage},
		{"patch_size", c.Patch[0], c.Image[0]},
		{"patch_size", c.Patch[1], c.Image[1]},
	} {
		if s.value < 1 || s.value > s.max {
			return fmt.Errorf("%w: %s is out of range", ErrConfig, s.field)
		}
	}
	if !(c.Epsilon >= 0) || c.Epsilon > 1 {
		return fmt.Errorf("%w: layer_norm_eps is %v, not 0 to 1", ErrConfig, c.Epsilon)
	}
	if _, err := activation.Named(c.Activation); err != nil {
		return fmt.Errorf("%w: hidden_act: %w", ErrConfig, err)
	}
	return nil
}
