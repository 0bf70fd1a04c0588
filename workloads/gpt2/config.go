package gpt2

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/workloads/checkpoint"
	"github.com/genie-sdk/go/workloads/generation"
)

// ErrConfig marks a config.json that is broken, that contradicts itself, or
// that this package does not support.
var ErrConfig = errors.New("genie: unusable GPT-2 config")

// Activation is the non-linear function between the two layers of the
// feed-forward part, by its name in transformers; all those of package
// activation are supported.
type Activation string

// Activations of GPT-2 checkpoints. GELUNew and GELUPyTorchTanh are the
// same function, 0.5x(1+tanh(sqrt(2/pi)(x+0.044715x^3))); GELU is the exact
// one, 0.5x(1+erf(x/sqrt(2))).
const (
	GELUNew         Activation = "gelu_new"
	GELUPyTorchTanh Activation = "gelu_pytorch_tanh"
	GELU            Activation = "gelu"
	ReLU            Activation = "relu"
)

// NoToken stands for a token id that the config does not have.
const NoToken = -1

// Upper bounds of a config. They are far above any GPT-2 and keep a hostile
// config from asking for absurd memory.
const (
	maxLayers     = 1 << 12
	maxHidden     = 1 << 16
	maxInner      = 1 << 20
	maxVocab      = 1 << 24
	maxPositions  = 1 << 22
	maxParameters = 1 << 40
)

// Config is the architecture of a GPT-2 model, as config.json of a Hugging
// Face checkpoint gives it (transformers, models/gpt2/configuration_gpt2.py).
type Config struct {
	Layers    int // n_layer
	Heads     int // n_head
	Hidden    int // n_embd, a multiple of Heads
	Inner     int // n_inner; 4*Hidden when it is null
	Vocab     int // vocab_size
	Positions int // n_positions (n_ctx in old files): the longest sequence

	LayerNormEpsilon float64
	Activation       Activation

	// TieWordEmbeddings says that the head is the token embedding. A checkpoint
	// has one of the two tensors, under either name, or both; if both differ,
	// both are used.
	TieWordEmbeddings bool
	// ScaleAttention divides attention scores by sqrt(Hidden/Heads).
	ScaleAttention bool
	// ScaleAttentionByLayer further divides them by the layer's number,
	// counted from 1.
	ScaleAttentionByLayer bool
	// ReorderAndUpcastAttention computes scores in float32 with the scale
	// applied before the product. In a float32 model it changes only the
	// rounding.
	ReorderAndUpcastAttention bool

	// BOS and EOS are the token ids that config.json names, or NoToken. They
	// may be outside the vocabulary; [Generation] has the tokens that end a
	// generation.
	BOS, EOS int

	// DType is the dtype that the config names ("dtype", "torch_dtype" in older
	// files), or Invalid if it names none that is supported. The weights file
	// decides.
	DType plan.DType
}

// HeadDim returns the size of one attention head.
func (c Config) HeadDim() int { return c.Hidden / c.Heads }

// Parameters returns the number of weights, a tied head counted once: 124.4
// million for gpt2, 1557.6 million for gpt2-xl.
func (c Config) Parameters() int64 {
	hidden, inner := int64(c.Hidden), int64(c.Inner)
	block := 4*hidden + // two layer norms
		hidden*3*hidden + 3*hidden + // c_attn
		hidden*hidden + hidden + // attn.c_proj
		hidden*inner + inner + // c_fc
		inner*hidden + hidden // mlp.c_proj
	total := int64(c.Layers)*block + int64(c.Vocab)*hidden + int64(c.Positions)*hidden + 2*hidden
	if !c.TieWordEmbeddings {
		total += int64(c.Vocab) * hidden
	}
	return total
}

// Preset returns a published architecture: "gpt2" (124M), "gpt2-medium" (355M),
// "gpt2-large" (774M), "gpt2-xl" (1.5B), from Radford et al. 2019, table 2; or
// "gpt2-tiny", a toy for tests with the same parts.
func Preset(name string) (Config, bool) {
	c := defaultConfig()
	switch name {
	case "gpt2":
		c.Layers, c.Hidden, c.Heads = 12, 768, 12
	case "gpt2-medium":
		c.Layers, c.Hidden, c.Heads = 24, 1024, 16
	case "gpt2-large":
		c.Layers, c.Hidden, c.Heads = 36, 1280, 20
	case "gpt2-xl":
		c.Layers, c.Hidden, c.Heads = 48, 1600, 25
	case "gpt2-tiny":
		c.Layers, c.Hidden, c.Heads, c.Vocab, c.Positions = 2, 32, 4, 128, 64
		c.BOS, c.EOS = 0, 0
	default:
		return Config{}, false
	}
	c.Inner = 4 * c.Hidden
	c.DType = plan.F32
	return c, true
}

// defaultConfig has the defaults of transformers for fields that config.json
// lacks.
func defaultConfig() Config {
	return Config{
		Layers: 12, Heads: 12, Hidden: 768, Inner: 0, Vocab: 50257, Positions: 1024,
		LayerNormEpsilon: 1e-5, Activation: GELUNew,
		TieWordEmbeddings: true, ScaleAttention: true,
		BOS: 50256, EOS: 50256,
	}
}

// ParseConfig reads config.json. Absent fields have the defaults of
// transformers; as there, a field's alias in GPT2Config.attribute_map takes
// precedence. Fields that the computation does not use are ignored. Every error
// wraps [ErrConfig].
func ParseConfig(text []byte) (Config, error) {
	file, err := checkpoint.ParseConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := checkpoint.CheckType(file, "gpt2"); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := checkpoint.CheckCausal(file, "", true); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c, r := defaultConfig(), file.Reader()
	if !file.Given("n_positions") && !file.Given("max_position_embeddings") {
		r.Int("n_ctx", &c.Positions)
	}
	for _, f := range []struct {
		to         *int
		own, other string
	}{
		{&c.Layers, "n_layer", "num_hidden_layers"},
		{&c.Heads, "n_head", "num_attention_heads"},
		{&c.Hidden, "n_embd", "hidden_size"},
		{&c.Positions, "n_positions", "max_position_embeddings"},
	} {
		if file.Given(f.other) {
			f.own = f.other
		}
		r.Int(f.own, f.to)
	}
	if c.Hidden > 0 && c.Hidden <= maxHidden {
		c.Inner = 4 * c.Hidden
	}
	r.Int("n_inner", &c.Inner)
	r.Int("vocab_size", &c.Vocab)
	r.Float("layer_norm_epsilon", &c.LayerNormEpsilon)
	r.String("activation_function", (*string)(&c.Activation))
	r.Bool("tie_word_embeddings", &c.TieWordEmbeddings)
	r.Bool("scale_attn_weights", &c.ScaleAttention)
	r.Bool("scale_attn_by_inverse_layer_idx", &c.ScaleAttentionByLayer)
	r.Bool("reorder_and_upcast_attn", &c.ReorderAndUpcastAttention)
	if err := r.Err(); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c.DType = parseDType(file)
	c.BOS, c.EOS = firstToken(file["bos_token_id"]), firstToken(file["eos_token_id"])
	return c, c.Validate()
}

// parseDType is the dtype that a config names, or Invalid.
func parseDType(file checkpoint.Config) plan.DType {
	names := map[string]plan.DType{"float32": plan.F32, "float16": plan.F16, "bfloat16": plan.BF16}
	for _, key := range []string{"dtype", "torch_dtype"} {
		var name string
		if file.Given(key) && json.Unmarshal(file[key], &name) == nil {
			return names[name]
		}
	}
	return plan.Invalid
}

// firstToken is a token id, or the first of several; NoToken for anything else.
func firstToken(raw json.RawMessage) int {
	if ids, err := generation.TokenIDs(raw); err == nil && len(ids) > 0 && ids[0] >= 0 {
		return ids[0]
	}
	return NoToken
}

// Validate checks that the sizes are positive, fit together and stay within
// sane bounds. The error wraps [ErrConfig].
func (c Config) Validate() error {
	for _, size := range []struct {
		field      string
		value, max int
	}{
		{"n_layer", c.Layers, maxLayers},
		{"n_embd", c.Hidden, maxHidden},
		{"n_head", c.Heads, maxHidden},
		{"n_inner", c.Inner, maxInner},
		{"vocab_size", c.Vocab, maxVocab},
		{"n_positions", c.Positions, maxPositions},
	} {
		if size.value < 1 || size.value > size.max {
			return fmt.Errorf("%w: %s is %d, not between 1 and %d", ErrConfig, size.field, size.value, size.max)
		}
	}
	switch {
	case c.Hidden%c.Heads != 0:
		return fmt.Errorf("%w: n_embd %d is not a multiple of n_head %d", ErrConfig, c.Hidden, c.Heads)
	case c.Parameters() > maxParameters:
		return fmt.Errorf("%w: %d parameters, over the limit of %d", ErrConfig, c.Parameters(), int64(maxParameters))
	case !(c.LayerNormEpsilon >= 0) || c.LayerNormEpsilon > 1:
		return fmt.Errorf("%w: layer_norm_epsilon is %v, not 0 to 1", ErrConfig, c.LayerNormEpsilon)
	}
	if _, err := activation.Named(string(c.Activation)); err != nil {
		return fmt.Errorf("%w: activation_function: %w", ErrConfig, err)
	}
	return nil
}

// json returns the config as a config.json that transformers reads.
func (c Config) json() ([]byte, error) {
	token := func(id int) any {
		if id == NoToken {
			return nil
		}
		return id
	}
	dtypes := map[plan.DType]string{plan.F32: "float32", plan.F16: "float16", plan.BF16: "bfloat16"}
	text, err := json.MarshalIndent(map[string]any{
		"architectures":                   []string{"GPT2LMHeadModel"},
		"model_type":                      "gpt2",
		"n_layer":                         c.Layers,
		"n_head":                          c.Heads,
		"n_embd":                          c.Hidden,
		"n_inner":                         c.Inner,
		"vocab_size":                      c.Vocab,
		"n_positions":                     c.Positions,
		"n_ctx":                           c.Positions,
		"layer_norm_epsilon":              c.LayerNormEpsilon,
		"activation_function":             string(c.Activation),
		"tie_word_embeddings":             c.TieWordEmbeddings,
		"scale_attn_weights":              c.ScaleAttention,
		"scale_attn_by_inverse_layer_idx": c.ScaleAttentionByLayer,
		"reorder_and_upcast_attn":         c.ReorderAndUpcastAttention,
		"bos_token_id":                    token(c.BOS),
		"eos_token_id":                    token(c.EOS),
		"torch_dtype":                     dtypes[c.DType],
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write config.json: %w", err)
	}
	return append(text, '\n'), nil
}

// attentionScale is the factor of the scores of layer i.
func (c Config) attentionScale(i int) float32 {
	s := 1.0
	if c.ScaleAttention {
		s /= math.Sqrt(float64(c.HeadDim()))
	}
	if c.ScaleAttentionByLayer {
		s /= float64(i + 1)
	}
	return float32(s)
}
