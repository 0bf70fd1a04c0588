package gpt2

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/safetensors"
)

// ErrConfig marks a config.json that is broken, that contradicts itself, or
// that asks for something this package does not do.
var ErrConfig = errors.New("genie: unusable GPT-2 config")

// Activation is the function between the two layers of the feed-forward part,
// by its name in transformers.
type Activation string

// The activations of GPT-2 checkpoints. GELUNew and GELUPyTorchTanh are the
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

// Upper bounds of a config. They are far above any GPT-2 and keep a config
// that lies from asking for absurd memory.
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

	// TieWordEmbeddings says that the head is the token embedding; such a
	// checkpoint has no lm_head.weight.
	TieWordEmbeddings bool
	// ScaleAttention divides attention scores by sqrt(Hidden/Heads).
	ScaleAttention bool
	// ScaleAttentionByLayer further divides them by the layer's number,
	// counted from 1.
	ScaleAttentionByLayer bool
	// ReorderAndUpcastAttention computes scores in float32 with the scale
	// applied before the product. In a float32 model it changes rounding only.
	ReorderAndUpcastAttention bool

	BOS, EOS int // token ids, or NoToken

	// DType is the dtype that the config names ("dtype", "torch_dtype" in older
	// files), or "" when it names none. The weights file decides.
	DType safetensors.DType
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

// Preset returns a published architecture: "gpt2" (124M), "gpt2-medium"
// (355M), "gpt2-large" (774M), "gpt2-xl" (1.5B), from Radford et al. 2019,
// table 2; or "gpt2-tiny", a toy for tests that has the same parts.
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
	c.DType = safetensors.F32
	return c, true
}

// defaultConfig has what transformers assumes where config.json is silent.
func defaultConfig() Config {
	return Config{
		Layers: 12, Heads: 12, Hidden: 768, Inner: 0, Vocab: 50257, Positions: 1024,
		LayerNormEpsilon: 1e-5, Activation: GELUNew,
		TieWordEmbeddings: true, ScaleAttention: true,
		BOS: 50256, EOS: 50256,
	}
}

// configFile has the fields of config.json; nil is absent or null.
type configFile struct {
	ModelType         *string         `json:"model_type"`
	Layers            *int            `json:"n_layer"`
	Heads             *int            `json:"n_head"`
	Hidden            *int            `json:"n_embd"`
	Inner             *int            `json:"n_inner"`
	Vocab             *int            `json:"vocab_size"`
	Positions         *int            `json:"n_positions"`
	Context           *int            `json:"n_ctx"`
	Epsilon           *float64        `json:"layer_norm_epsilon"`
	Activation        *string         `json:"activation_function"`
	Tie               *bool           `json:"tie_word_embeddings"`
	Scale             *bool           `json:"scale_attn_weights"`
	ScaleByLayer      *bool           `json:"scale_attn_by_inverse_layer_idx"`
	ReorderAndUpcast  *bool           `json:"reorder_and_upcast_attn"`
	AddCrossAttention *bool           `json:"add_cross_attention"`
	BOS               json.RawMessage `json:"bos_token_id"`
	EOS               json.RawMessage `json:"eos_token_id"`
	DType             *string         `json:"dtype"`
	TorchDType        *string         `json:"torch_dtype"`
}

// ParseConfig reads config.json. Absent fields have the values that
// transformers gives them. Every error wraps [ErrConfig].
func ParseConfig(text []byte) (Config, error) {
	var f configFile
	if err := json.Unmarshal(text, &f); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if f.ModelType != nil && *f.ModelType != "gpt2" {
		return Config{}, fmt.Errorf("%w: model_type is %q, not \"gpt2\"", ErrConfig, *f.ModelType)
	}
	if f.AddCrossAttention != nil && *f.AddCrossAttention {
		return Config{}, fmt.Errorf("%w: add_cross_attention is not supported", ErrConfig)
	}
	c := defaultConfig()
	set(&c.Layers, f.Layers)
	set(&c.Heads, f.Heads)
	set(&c.Hidden, f.Hidden)
	set(&c.Vocab, f.Vocab)
	set(&c.Positions, f.Context)
	set(&c.Positions, f.Positions)
	set(&c.LayerNormEpsilon, f.Epsilon)
	set(&c.TieWordEmbeddings, f.Tie)
	set(&c.ScaleAttention, f.Scale)
	set(&c.ScaleAttentionByLayer, f.ScaleByLayer)
	set(&c.ReorderAndUpcastAttention, f.ReorderAndUpcast)
	if f.Activation != nil {
		c.Activation = Activation(*f.Activation)
	}
	if f.Inner != nil {
		c.Inner = *f.Inner
	} else if c.Hidden > 0 && c.Hidden <= maxHidden {
		c.Inner = 4 * c.Hidden
	}
	var err error
	if c.DType, err = parseDType(f.DType, f.TorchDType); err != nil {
		return Config{}, err
	}
	if c.BOS, err = parseToken("bos_token_id", f.BOS, c.BOS); err != nil {
		return Config{}, err
	}
	if c.EOS, err = parseToken("eos_token_id", f.EOS, c.EOS); err != nil {
		return Config{}, err
	}
	// A default that the vocabulary does not hold is no token.
	if f.BOS == nil && c.BOS >= c.Vocab {
		c.BOS = NoToken
	}
	if f.EOS == nil && c.EOS >= c.Vocab {
		c.EOS = NoToken
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func parseDType(names ...*string) (safetensors.DType, error) {
	for _, name := range names {
		if name == nil {
			continue
		}
		switch *name {
		case "float32":
			return safetensors.F32, nil
		case "float16":
			return safetensors.F16, nil
		case "bfloat16":
			return safetensors.BF16, nil
		default:
			return "", fmt.Errorf("%w: dtype %q is not supported", ErrConfig, *name)
		}
	}
	return "", nil
}

// parseToken reads a token id: an integer, or null for none. Some models list
// several; a list of one is that one.
func parseToken(field string, raw json.RawMessage, absent int) (int, error) {
	if raw == nil {
		return absent, nil
	}
	if string(raw) == "null" {
		return NoToken, nil
	}
	var id int
	var list []int
	if err := json.Unmarshal(raw, &list); err == nil && len(list) == 1 {
		id = list[0]
	} else if err := json.Unmarshal(raw, &id); err != nil {
		return 0, fmt.Errorf("%w: %s is %.40s, not a token id", ErrConfig, field, raw)
	}
	if id < 0 {
		return 0, fmt.Errorf("%w: %s is %d", ErrConfig, field, id)
	}
	return id, nil
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
	case !(c.LayerNormEpsilon > 0) || c.LayerNormEpsilon > 1 || math.IsNaN(c.LayerNormEpsilon):
		return fmt.Errorf("%w: layer_norm_epsilon is %v, not above 0 and up to 1", ErrConfig, c.LayerNormEpsilon)
	case c.BOS != NoToken && (c.BOS < 0 || c.BOS >= c.Vocab):
		return fmt.Errorf("%w: bos_token_id %d is outside the vocabulary of %d", ErrConfig, c.BOS, c.Vocab)
	case c.EOS != NoToken && (c.EOS < 0 || c.EOS >= c.Vocab):
		return fmt.Errorf("%w: eos_token_id %d is outside the vocabulary of %d", ErrConfig, c.EOS, c.Vocab)
	}
	switch c.Activation {
	case GELUNew, GELUPyTorchTanh, GELU, ReLU:
		return nil
	default:
		return fmt.Errorf("%w: activation_function %q is not supported", ErrConfig, string(c.Activation))
	}
}

// json returns the config as a config.json that transformers reads.
func (c Config) json() ([]byte, error) {
	token := func(id int) any {
		if id == NoToken {
			return nil
		}
		return id
	}
	dtypes := map[safetensors.DType]string{safetensors.F32: "float32", safetensors.F16: "float16", safetensors.BF16: "bfloat16"}
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

// attentionScale is what the scores of layer i are multiplied by.
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
