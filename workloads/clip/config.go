package clip

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrConfig marks a config.json that is broken or asks for something this
// package does not do.
var ErrConfig = errors.New("genie: unusable CLIP config")

// Upper bounds of a config, far above any CLIP.
const (
	maxLayers = 1 << 10
	maxWidth  = 1 << 16
	maxVocab  = 1 << 22 // below 2^24: a token id is a whole float32
	maxImage  = 1 << 14
)

// The activations, as config.json names them.
const (
	QuickGELU = "quick_gelu"
	GELU      = "gelu"
)

// legacyEOS is the end token of configurations that were written before it was
// right. It means that a text ends at its highest token, whatever that is.
const legacyEOS = 2

// Config is the architecture of a CLIP model, as config.json of a Hugging Face
// checkpoint gives it (transformers, models/clip/configuration_clip.py).
type Config struct {
	Text       TextConfig
	Vision     VisionConfig
	Projection int // width of the embeddings that are compared
}

// Tower is a transformer encoder.
type Tower struct {
	Hidden     int     `json:"hidden_size"`
	Inner      int     `json:"intermediate_size"`
	Layers     int     `json:"num_hidden_layers"`
	Heads      int     `json:"num_attention_heads"`
	Activation string  `json:"hidden_act"` // QuickGELU or GELU
	Epsilon    float64 `json:"layer_norm_eps"`
}

// TextConfig is the text tower.
type TextConfig struct {
	Tower
	Vocab     int     `json:"vocab_size"`
	Positions int     `json:"max_position_embeddings"`
	EOS       TokenID `json:"eos_token_id"`
}

// VisionConfig is the image tower.
type VisionConfig struct {
	Tower
	Channels int `json:"num_channels"`
	Image    int `json:"image_size"` // height and width
	Patch    int `json:"patch_size"` // height and width
}

// Positions is the number of patches and one for the class.
func (c VisionConfig) Positions() int {
	side := c.Image / c.Patch
	return side*side + 1
}

// TokenID is a token id, which some configurations give as a list of one.
type TokenID int

// UnmarshalJSON reads a number or a list of one.
func (t *TokenID) UnmarshalJSON(text []byte) error {
	var list []int
	if err := json.Unmarshal(text, &list); err == nil && len(list) == 1 {
		*t = TokenID(list[0])
		return nil
	}
	var id int
	if err := json.Unmarshal(text, &id); err != nil || string(text) == "null" {
		return fmt.Errorf("%.40s is not a token id", text)
	}
	*t = TokenID(id)
	return nil
}

// What transformers assumes where config.json is silent.
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

// ParseConfig reads config.json. Errors wrap [ErrConfig] and name the field.
func ParseConfig(text []byte) (Config, error) {
	var file struct {
		Text       json.RawMessage `json:"text_config"`
		TextDict   json.RawMessage `json:"text_config_dict"`
		Vision     json.RawMessage `json:"vision_config"`
		VisionDict json.RawMessage `json:"vision_config_dict"`
		Projection *int            `json:"projection_dim"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c := Config{Text: defaultText(), Vision: defaultVision(), Projection: 512}
	// Where there is an old ..._dict, transformers takes it with its defaults
	// over the other.
	if given(file.TextDict) {
		file.Text = file.TextDict
	}
	if given(file.VisionDict) {
		file.Vision = file.VisionDict
	}
	if given(file.Text) {
		if err := json.Unmarshal(file.Text, &c.Text); err != nil {
			return Config{}, fmt.Errorf("%w: text_config: %w", ErrConfig, err)
		}
	}
	if given(file.Vision) {
		if err := json.Unmarshal(file.Vision, &c.Vision); err != nil {
			return Config{}, fmt.Errorf("%w: vision_config: %w", ErrConfig, err)
		}
	}
	if file.Projection != nil {
		c.Projection = *file.Projection
	}
	return c, c.check()
}

func given(raw json.RawMessage) bool { return raw != nil && !bytes.Equal(raw, []byte("null")) }

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
	case t.Activation != QuickGELU && t.Activation != GELU:
		return fmt.Errorf("%w: %shidden_act is %.40q, not quick_gelu or gelu", ErrConfig, where, t.Activation)
	case !(t.Epsilon > 0) || t.Epsilon > 1:
		return fmt.Errorf("%w: %slayer_norm_eps is %v, not above 0 and up to 1", ErrConfig, where, t.Epsilon)
	}
	return nil
}
