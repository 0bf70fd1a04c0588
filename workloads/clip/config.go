package clip

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// ErrConfig marks a config.json that is broken or that this package does not
// support.
var ErrConfig = errors.New("genie: unusable CLIP config")

// Upper bounds of a config, far above any CLIP.
const (
	maxLayers = 1 << 10
	maxWidth  = 1 << 16
	maxVocab  = 1 << 22 // below 2^24: a token id is a whole float32
	maxImage  = 1 << 14
)

// Activations of CLIP checkpoints, as config.json names them; all those of
// package activation are supported.
const (
	QuickGELU = "quick_gelu"
	GELU      = "gelu"
)

// legacyEOS is the wrong end token of old configurations. It means that a text
// ends at its highest token, whatever that is.
const legacyEOS = 2

// Config is the architecture of a CLIP model, as config.json of a Hugging Face
// checkpoint gives it (transformers, models/clip/configuration_clip.py).
type Config struct {
	Text       TextConfig
	Vision     VisionConfig
	Projection int // width of the compared embeddings
}

// Tower is a transformer encoder.
type Tower struct {
	Hidden     int    // hidden_size
	Inner      int    // intermediate_size
	Layers     int    // num_hidden_layers
	Heads      int    // num_attention_heads
	Activation string // hidden_act
	Epsilon    float64
}

// TextConfig is the text tower.
type TextConfig struct {
	Tower
	Vocab     int     // vocab_size
	Positions int     // max_position_embeddings
	EOS       TokenID // eos_token_id
}

// VisionConfig is the image tower.
type VisionConfig struct {
	Tower
	Channels int // num_channels
	Image    int // image_size, height and width
	Patch    int // patch_size, height and width
}

// Positions is the number of patches and one for the class.
func (c VisionConfig) Positions() int {
	side := c.Image / c.Patch
	return side*side + 1
}

// TokenID is a token id.
type TokenID int

// The defaults of transformers for fields that config.json lacks.
func defaultText() TextConfig {
	return TextConfig{
		Tower: Tower{Hidden: 512, Inner: 2048, Layers: 12, Heads: 8, Activation: QuickGELU, Epsilon: 1e-5},
		Vocab: 49408, Positions: 77, EOS: 49407,
	}
}

func defaultVision() VisionConfig {
	return VisionConfig{
		Tower:    Tower{Hidden: 768, Inner: 3072, Layers: 12, Heads: 12, Activation: QuickGELU, Epsilon: 1e-5},
		Channels: 3, Image: 224, Patch: 32,
	}
}

// ParseConfig reads config.json. Fields that the computation does not use are
// ignored. Errors wrap [ErrConfig] and name the field.
func ParseConfig(text []byte) (Config, error) {
	file, err := checkpoint.ParseConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := checkpoint.CheckType(file, "clip"); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c := Config{Text: defaultText(), Vision: defaultVision(), Projection: 512}
	r := file.Reader()
	r.Int("projection_dim", &c.Projection)
	// If there is an old ..._dict, transformers prefers it, with its defaults,
	// to the other one.
	towers := [2]checkpoint.Config{}
	for i, key := range [2]string{"text_config", "vision_config"} {
		if file.Given(key + "_dict") {
			key += "_dict"
		}
		towers[i] = r.Object(key)
	}
	for _, err := range []error{r.Err(), readText(towers[0], &c.Text), readVision(towers[1], &c.Vision)} {
		if err != nil {
			return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	return c, c.check()
}

func readTower(r *checkpoint.Reader, t *Tower) {
	r.Int("hidden_size", &t.Hidden)
	r.Int("intermediate_size", &t.Inner)
	r.Int("num_hidden_layers", &t.Layers)
	r.Int("num_attention_heads", &t.Heads)
	r.String("hidden_act", &t.Activation)
	r.Float("layer_norm_eps", &t.Epsilon)
}

func readText(o checkpoint.Config, c *TextConfig) error {
	if err := checkpoint.CheckCausal(o, "text_config.", true); err != nil {
		return err
	}
	r := o.Reader().Within("text_config.")
	readTower(r, &c.Tower)
	r.Int("vocab_size", &c.Vocab)
	r.Int("max_position_embeddings", &c.Positions)
	if err := r.Err(); err != nil {
		return err
	}
	// Some configurations give the end token as a list of one.
	raw, there := o["eos_token_id"]
	if !there {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && len(list) == 1 {
		raw = list[0]
	}
	id, ok := checkpoint.Integer(raw)
	if !ok {
		return fmt.Errorf("text_config.eos_token_id: %.40s is not a token id", raw)
	}
	c.EOS = TokenID(id)
	return nil
}

func readVision(o checkpoint.Config, c *VisionConfig) error {
	if err := checkpoint.CheckCausal(o, "vision_config.", false); err != nil {
		return err
	}
	r := o.Reader().Within("vision_config.")
	readTower(r, &c.Tower)
	r.Int("num_channels", &c.Channels)
	r.Int("image_size", &c.Image)
	r.Int("patch_size", &c.Patch)
	return r.Err()
}

func (c Config) check() error {
	t, v := c.Text, c.Vision
	if err := t.check("text_config."); err != nil {
		return err
	}
	if err := v.check("vision_config."); err != nil {
		return err
	}
	return within([]size{
		{"projection_dim", c.Projection, maxWidth},
		{"text_config.vocab_size", t.Vocab, maxVocab},
		{"text_config.max_position_embeddings", t.Positions, maxWidth},
		{"text_config.eos_token_id", int(t.EOS) + 1, maxVocab},
		{"vision_config.num_channels", v.Channels, maxWidth},
		{"vision_config.image_size", v.Image, maxImage},
		{"vision_config.patch_size", v.Patch, v.Image},
	})
}

type size struct {
	field      string
	value, max int
}

func within(sizes []size) error {
	for _, s := range sizes {
		if s.value < 1 || s.value > s.max {
			return fmt.Errorf("%w: %s is out of range", ErrConfig, s.field)
		}
	}
	return nil
}

func (t Tower) check(where string) error {
	err := within([]size{
		{where + "hidden_size", t.Hidden, maxWidth},
		{where + "intermediate_size", t.Inner, maxWidth},
		{where + "num_hidden_layers", t.Layers, maxLayers},
		{where + "num_attention_heads", t.Heads, t.Hidden},
	})
	switch {
	case err != nil:
		return err
	case t.Hidden%t.Heads != 0:
		return fmt.Errorf("%w: %shidden_size %d is not a multiple of num_attention_heads %d", ErrConfig, where, t.Hidden, t.Heads)
	case !(t.Epsilon >= 0) || t.Epsilon > 1:
		return fmt.Errorf("%w: %slayer_norm_eps is %v, not 0 to 1", ErrConfig, where, t.Epsilon)
	}
	if _, err := activation.Named(t.Activation); err != nil {
		return fmt.Errorf("%w: %shidden_act: %w", ErrConfig, where, err)
	}
	return nil
}
