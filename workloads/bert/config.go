package bert

import (
	"errors"
	"fmt"

	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// ErrConfig marks a config.json that is broken or that this package does not
// support.
var ErrConfig = errors.New("genie: unusable BERT config")

// maxSize bounds every number of a config, far above any BERT.
const maxSize = 1 << 20

// The types of models that this package computes, as config.json names them.
// The last three are one network: BERT's, except for where positions begin.
const (
	bertType       = "bert"
	robertaType    = "roberta"
	xlmRobertaType = "xlm-roberta"
	camembertType  = "camembert"
)

// Config is the architecture of a BERT or a RoBERTa, as config.json of a Hugging
// Face checkpoint gives it (transformers, models/bert/configuration_bert.py,
// models/roberta/configuration_roberta.py).
type Config struct {
	Type      string // model_type
	Vocab     int    // vocab_size
	Hidden    int    // hidden_size
	Layers    int    // num_hidden_layers
	Heads     int    // num_attention_heads
	Inner     int    // intermediate_size, the width of the feed-forward part
	Positions int    // max_position_embeddings
	Types     int    // type_vocab_size, kinds of segments
	Epsilon   float64
	// Activation is hidden_act, one of package activation.
	Activation string
	// Padding is pad_token_id. In a RoBERTa the padding token has no position
	// of its own; the positions of the others begin after it.
	Padding int
}

// HeadDim is the width of an attention head.
func (c Config) HeadDim() int { return c.Hidden / c.Heads }

// roberta reports whether positions begin after that of padding.
func (c Config) roberta() bool { return c.Type != bertType }

// Longest is the largest number of tokens in a text: the number of positions,
// some of which a RoBERTa gives to no token.
func (c Config) Longest() int {
	if c.roberta() {
		return c.Positions - c.Padding - 1
	}
	return c.Positions
}

// prefix is the start of tensor names in the files of models around the
// encoder.
func (c Config) prefix() string {
	if c.roberta() {
		return "roberta."
	}
	return "bert."
}

// ParseConfig reads config.json of a BERT, a RoBERTa, an XLM-RoBERTa or a
// CamemBERT. Fields that the computation does not use are ignored. Errors wrap
// [ErrConfig] and name the field.
func ParseConfig(text []byte) (Config, error) {
	file, err := checkpoint.ParseConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := checkpoint.CheckType(file, bertType, robertaType, xlmRobertaType, camembertType); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := checkpoint.CheckCausal(file, "", false); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c := defaultConfig(checkpoint.TypeOf(file, bertType, robertaType, xlmRobertaType, camembertType))
	r := file.Reader()
	places, decoder, cross := "absolute", false, false
	r.Int("vocab_size", &c.Vocab)
	r.Int("hidden_size", &c.Hidden)
	r.Int("num_hidden_layers", &c.Layers)
	r.Int("num_attention_heads", &c.Heads)
	r.Int("intermediate_size", &c.Inner)
	r.Int("max_position_embeddings", &c.Positions)
	r.Int("type_vocab_size", &c.Types)
	r.Float("layer_norm_eps", &c.Epsilon)
	r.String("hidden_act", &c.Activation)
	r.String("position_embedding_type", &places)
	r.Bool("is_decoder", &decoder)
	r.Bool("add_cross_attention", &cross)
	if c.roberta() {
		if _, there := file["pad_token_id"]; there && !file.Given("pad_token_id") {
			return Config{}, fmt.Errorf("%w: pad_token_id is null, and positions begin behind it", ErrConfig)
		}
		r.Int("pad_token_id", &c.Padding)
	}
	switch {
	case r.Err() != nil:
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, r.Err())
	case places != "absolute":
		return Config{}, fmt.Errorf("%w: position_embedding_type is %.40q, not absolute", ErrConfig, places)
	case decoder:
		return Config{}, fmt.Errorf("%w: is_decoder is true, this is an encoder", ErrConfig)
	case cross:
		return Config{}, fmt.Errorf("%w: add_cross_attention is true, this is an encoder", ErrConfig)
	}
	return c, c.check()
}

// defaultConfig has the defaults of transformers for fields that config.json
// lacks.
func defaultConfig(modelType string) Config {
	c := Config{
		Type: modelType, Vocab: 30522, Hidden: 768, Layers: 12, Heads: 12, Inner: 3072, Positions: 512, Types: 2, Epsilon: 1e-12,
		Activation: "gelu",
	}
	switch modelType {
	case robertaType:
		c.Vocab, c.Padding = 50265, 1
	case xlmRobertaType, camembertType:
		c.Padding = 1
	}
	return c
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
	case !(c.Epsilon >= 0 && c.Epsilon < 1):
		return fmt.Errorf("%w: layer_norm_eps is %g", ErrConfig, c.Epsilon)
	case c.roberta() && (c.Padding < -1 || c.Padding >= c.Vocab || c.Longest() < 1):
		return fmt.Errorf("%w: pad_token_id is %d, with %d tokens and %d positions", ErrConfig, c.Padding, c.Vocab, c.Positions)
	}
	if _, err := activation.Named(c.Activation); err != nil {
		return fmt.Errorf("%w: hidden_act: %w", ErrConfig, err)
	}
	return nil
}
