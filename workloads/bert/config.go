package bert

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrConfig marks a config.json that is broken or asks for something this
// package does not do.
var ErrConfig = errors.New("genie: unusable BERT config")

// maxSize bounds every number of a config, far above any BERT.
const maxSize = 1 << 20

// Config is the architecture of a BERT, as config.json of a Hugging Face
// checkpoint gives it (transformers, models/bert/configuration_bert.py).
type Config struct {
	Vocab     int     `json:"vocab_size"`
	Hidden    int     `json:"hidden_size"`
	Layers    int     `json:"num_hidden_layers"`
	Heads     int     `json:"num_attention_heads"`
	Inner     int     `json:"intermediate_size"` // width of the feed-forward part
	Positions int     `json:"max_position_embeddings"`
	Types     int     `json:"type_vocab_size"` // kinds of segments
	Epsilon   float64 `json:"layer_norm_eps"`

	Activation        string `json:"hidden_act"`
	PositionEmbedding string `json:"position_embedding_type"`
	Decoder           bool   `json:"is_decoder"`
	CrossAttention    bool   `json:"add_cross_attention"`
}

// HeadDim is the width of an attention head.
func (c Config) HeadDim() int { return c.Hidden / c.Heads }

// ParseConfig reads config.json. Errors wrap [ErrConfig] and name the field.
func ParseConfig(text []byte) (Config, error) {
	// What transformers assumes where config.json is silent.
	c := Config{
		Vocab: 30522, Hidden: 768, Layers: 12, Heads: 12, Inner: 3072, Positions: 512, Types: 2, Epsilon: 1e-12,
		Activation: "gelu", PositionEmbedding: "absolute",
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c, c.check()
}

func (c Config) check() error {
	for _, f := range []struct {
		name string
		n    int
	}{
		{"vocab_size", c.Vocab},
		{"hidden_size", c.Hidden},
		{"num_hidden_layers", c.Layers},
		{"num_attention_heads", c.Heads},
		{"intermediate_size", c.Inner},
		{"max_position_embeddings", c.Positions},
		{"type_vocab_size", c.Types},
	} {
		if f.n < 1 || f.n > maxSize {
			return fmt.Errorf("%w: %s is %d", ErrConfig, f.name, f.n)
		}
	}
	switch {
	case c.Hidden%c.Heads != 0:
		return fmt.Errorf("%w: hidden_size %d for %d heads", ErrConfig, c.Hidden, c.Heads)
	case !(c.Epsilon > 0 && c.Epsilon < 1):
		return fmt.Errorf("%w: layer_norm_eps is %g", ErrConfig, c.Epsilon)
	case c.Activation != "gelu":
		return fmt.Errorf("%w: hidden_act is %.40q, not gelu", ErrConfig, c.Activation)
	case c.PositionEmbedding != "absolute":
		return fmt.Errorf("%w: position_embedding_type is %.40q, not absolute", ErrConfig, c.PositionEmbedding)
	case c.Decoder || c.CrossAttention:
		return fmt.Errorf("%w: is_decoder or add_cross_attention, this is an encoder", ErrConfig)
	}
	return nil
}
