package gpt2

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport/plan"
)

func TestParseConfigDefaults(t *testing.T) {
	want, ok := Preset("gpt2")
	require.True(t, ok)
	want.DType, want.BOS, want.EOS = plan.Invalid, NoToken, NoToken
	got, err := ParseConfig([]byte(`{}`))
	require.NoError(t, err)
	assert.Equal(t, want, got, "an empty config is GPT-2 small, as in transformers")
}

func TestParseConfigFields(t *testing.T) {
	cases := []struct {
		name, text string
		check      func(c Config) any
		want       any
	}{
		{"layers", `{"n_layer":3}`, func(c Config) any { return c.Layers }, 3},
		{"inner null", `{"n_embd":24,"n_inner":null}`, func(c Config) any { return c.Inner }, 96},
		{"inner absent", `{"n_embd":24}`, func(c Config) any { return c.Inner }, 96},
		{"inner", `{"n_inner":5}`, func(c Config) any { return c.Inner }, 5},
		{"n_ctx alone", `{"n_ctx":77}`, func(c Config) any { return c.Positions }, 77},
		{"n_positions wins", `{"n_ctx":77,"n_positions":88}`, func(c Config) any { return c.Positions }, 88},
		{"head size", `{"n_embd":24,"n_head":3}`, func(c Config) any { return c.HeadDim() }, 8},
		{"epsilon", `{"layer_norm_epsilon":1e-6}`, func(c Config) any { return c.LayerNormEpsilon }, 1e-6},
		{"activation", `{"activation_function":"relu"}`, func(c Config) any { return c.Activation }, ReLU},
		{"untied", `{"tie_word_embeddings":false}`, func(c Config) any { return c.TieWordEmbeddings }, false},
		{"unscaled", `{"scale_attn_weights":false}`, func(c Config) any { return c.ScaleAttention }, false},
		{"scaled by layer", `{"scale_attn_by_inverse_layer_idx":true}`, func(c Config) any { return c.ScaleAttentionByLayer }, true},
		{"reorder", `{"reorder_and_upcast_attn":true}`, func(c Config) any { return c.ReorderAndUpcastAttention }, true},
		{"eos", `{"eos_token_id":5}`, func(c Config) any { return c.EOS }, 5},
		{"eos null", `{"eos_token_id":null}`, func(c Config) any { return c.EOS }, NoToken},
		{"eos list of one", `{"eos_token_id":[5]}`, func(c Config) any { return c.EOS }, 5},
		{"eos list", `{"eos_token_id":[5,6]}`, func(c Config) any { return c.EOS }, 5},
		{"eos outside the vocabulary", `{"vocab_size":100,"eos_token_id":50256,"bos_token_id":50256}`, func(c Config) any { return c.EOS }, 50256},
		{"eos of no use", `{"eos_token_id":{"a":NaN},"bos_token_id":-1}`, func(c Config) any { return [2]int{c.EOS, c.BOS} }, [2]int{NoToken, NoToken}},
		{"a dtype of no use", `{"dtype":"float64"}`, func(c Config) any { return c.DType }, plan.Invalid},
		{"other name", `{"num_attention_heads":6}`, func(c Config) any { return c.Heads }, 6},
		{"both names", `{"num_attention_heads":6,"n_head":4}`, func(c Config) any { return c.Heads }, 6},
		{"a name in another case", `{"N_Head":6}`, func(c Config) any { return c.Heads }, 12},
		{"integers as floats", `{"vocab_size":5e2,"n_layer":2.0}`, func(c Config) any { return c.Vocab + c.Layers }, 502},
		{"epsilon zero", `{"layer_norm_epsilon":0}`, func(c Config) any { return c.LayerNormEpsilon }, 0.0},
		{"cross attention, which needs an encoder", `{"add_cross_attention":true}`, func(c Config) any { return c.Layers }, 12},
		{"architectures of old files", `{"architectures":["GPT2LMHeadModel"]}`, func(c Config) any { return c.Layers }, 12},
		{"torch_dtype", `{"torch_dtype":"float16"}`, func(c Config) any { return c.DType }, plan.F16},
		{"dtype", `{"dtype":"bfloat16"}`, func(c Config) any { return c.DType }, plan.BF16},
		{"unknown fields", `{"use_cache":true,"summary_type":"cls_index"}`, func(c Config) any { return c.Layers }, 12},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseConfig([]byte(c.text))
			require.NoError(t, err)
			assert.Equal(t, c.want, c.check(got))
		})
	}
}

func TestParseConfigRefuses(t *testing.T) {
	cases := []struct{ name, text, reason string }{
		{"no JSON", `{`, "JSON"},
		{"another type", `[]`, "no object"},
		{"another model", `{"model_type":"llama"}`, "llama"},
		{"no layers", `{"n_layer":0}`, "n_layer is 0"},
		{"negative", `{"n_embd":-768}`, "n_embd is -768"},
		{"fraction", `{"n_layer":1.5}`, "1.5"},
		{"text", `{"n_layer":"12"}`, `n_layer is "12"`},
		{"not divisible", `{"n_head":7}`, "not a multiple of n_head 7"},
		{"no heads", `{"n_head":0}`, "n_head is 0"},
		{"too many layers", `{"n_layer":1000000}`, "n_layer"},
		{"too wide", `{"n_embd":1048576}`, "n_embd"},
		{"huge number", `{"n_embd":1e300}`, "1e300"},
		{"inner zero", `{"n_inner":0}`, "n_inner is 0"},
		{"vocabulary too large", `{"vocab_size":2000000000}`, "vocab_size"},
		{"positions too large", `{"n_positions":2000000000}`, "n_positions"},
		{"sum too large", `{"n_layer":4096,"n_embd":65536,"n_head":64}`, "parameters"},
		{"epsilon large", `{"layer_norm_epsilon":2}`, "layer_norm_epsilon"},
		{"activation", `{"activation_function":"xielu"}`, "xielu"},
		{"epsilon NaN", `{"layer_norm_epsilon":NaN}`, "layer_norm_epsilon is NaN"},
		{"quantised", `{"quantization_config":{"quant_method":"gptq"}}`, "quantization_config"},
		{"layers of their own", `{"per_layer_config":{"0":{"n_head":2}}}`, "per_layer_config"},
		{"no mask", `{"is_causal":false}`, "is_causal is false"},
		{"another architecture", `{"architectures":["GPTNeoForCausalLM"]}`, "GPTNeoForCausalLM"},
		{"type is a number", `{"model_type":3}`, "model_type is 3"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseConfig([]byte(c.text))
			require.ErrorIs(t, err, ErrConfig)
			require.ErrorContains(t, err, c.reason)
		})
	}
	c, _ := Preset("gpt2")
	c.LayerNormEpsilon = math.NaN()
	require.ErrorIs(t, c.Validate(), ErrConfig)
}

// Sizes as transformers counts them: sum(p.numel() for p in model.parameters()).
func TestPresets(t *testing.T) {
	for name, want := range map[string]int64{
		"gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200,
	} {
		c, ok := Preset(name)
		require.True(t, ok)
		require.NoError(t, c.Validate())
		assert.Equal(t, want, c.Parameters(), name)
		assert.Equal(t, 64, c.HeadDim(), name)
		text, err := c.json()
		require.NoError(t, err)
		back, err := ParseConfig(text)
		require.NoError(t, err)
		assert.Equal(t, c, back, name)
	}
	_, ok := Preset("gpt3")
	assert.False(t, ok)
}

func TestParseHuggingFaceConfigs(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "gpt2")
	paths, err := filepath.Glob(filepath.Join(root, "*", "config.json"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		_, err = ParseConfig(text)
		require.NoError(t, err, path)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, text := range []string{`{}`, `{"n_embd":24,"n_inner":null,"eos_token_id":[1]}`, `{"n_layer":1e300}`, `{"n_embd":9223372036854775807}`, `{"eos_token_id":{}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig(text)
		if err != nil {
			require.ErrorIs(t, err, ErrConfig)
			return
		}
		if c.Validate() != nil || c.Parameters() <= 0 || c.HeadDim() < 1 {
			t.Fatalf("accepted %+v", c)
		}
	})
}
