package vit_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/vit"
)

// TestUsed: the loader uses these keys and tensors, and nothing else.
func TestUsed(t *testing.T) {
	familytest.Rule{
		Dir: filepath.Join("testdata", "basic"), Layer: "vit.encoder.layer.",
		Used: []string{
			"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim", "hidden_act", "layer_norm_eps", "qkv_bias",
			"num_channels", "image_size", "patch_size", "is_causal", "id2label", "num_labels",
		},
		Run: func(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
			m, err := vit.Load(ctx, dir, vit.LoadOptions{})
			if err != nil {
				return nil, err
			}
			defer m.Close()
			return familytest.Values(ctx, s, genie.Feed{"pixels": genie.Float32s(familytest.Ramp(3*32*32), 1, 3, 32, 32)}, m.Logits)
		},
	}.Check(t)
}

// TestLoadRefuses: each fault of a checkpoint has a cause that errors.Is finds.
func TestLoadRefuses(t *testing.T) {
	basic := filepath.Join("testdata", "basic")
	config, err := os.ReadFile(filepath.Join(basic, "config.json"))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		config  string
		tensors func(checkpointtest.Tensors)
		is      []error
		text    string
	}{
		"no file": {is: []error{workloads.ErrMissingFile}, text: "config.json"},
		"another family": {
			config: `{"model_type": "deit"}`, is: []error{vit.ErrConfig, workloads.ErrFamily}, text: `model_type is "deit"`,
		},
		"no JSON": {config: `{`, is: []error{workloads.ErrCorruptCheckpoint, workloads.ErrJSONSyntax}, text: "config.json"},
		"activation": {
			config: `{"hidden_act": "geglu"}`, is: []error{vit.ErrConfig, workloads.ErrUnknownActivation}, text: "hidden_act",
		},
		"type of a key": {
			config: `{"patch_size": "16"}`, is: []error{vit.ErrConfig, workloads.ErrJSONType}, text: "patch_size",
		},
		"missing tensor": {
			config: string(config), is: []error{workloads.ErrMissingTensor}, text: "vit.encoder.layer.1.output.dense.bias",
			tensors: func(x checkpointtest.Tensors) { delete(x, "vit.encoder.layer.1.output.dense.bias") },
		},
		"shape": {
			config: string(config), is: []error{workloads.ErrTensorShape}, text: "classifier.weight",
			tensors: func(x checkpointtest.Tensors) { x["classifier.weight"] = x["vit.layernorm.weight"] },
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.config != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(c.config), 0o600))
			}
			tensors := checkpointtest.ReadTensors(t, filepath.Join(basic, "model.safetensors"))
			if c.tensors != nil {
				c.tensors(tensors)
			}
			tensors.Write(t, filepath.Join(dir, "model.safetensors"), nil)
			_, err := vit.Load(t.Context(), dir, vit.LoadOptions{})
			for _, is := range c.is {
				require.ErrorIs(t, err, is)
			}
			require.ErrorContains(t, err, c.text)
		})
	}
}

// TestImageSize: images of another size than that of the position embeddings
// are refused.
func TestImageSize(t *testing.T) {
	_, err := vit.Family().Load(t.Context(), filepath.Join("testdata", "basic"), workloads.FamilyOptions{Height: 33, Width: 32})
	require.ErrorIs(t, err, workloads.ErrSizes)
	require.ErrorContains(t, err, "33x32 pixels, the model takes 32x32")
}

// TestConfig names the fault of a config, and accepts unused content.
func TestConfig(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                                           "JSON",
		`{"model_type": "vit_msn"}`:                    `model_type is "vit_msn"`,
		`{"architectures": ["DeiTModel"]}`:             "architectures",
		`{"quantization_config": {"a": 1}}`:            "quantization_config",
		`{"is_causal": true}`:                          "is_causal",
		`{"hidden_size": 0}`:                           "hidden_size",
		`{"hidden_size": 99999999}`:                    "hidden_size",
		`{"num_hidden_layers": 1e9}`:                   "num_hidden_layers",
		`{"num_attention_heads": 0}`:                   "num_attention_heads",
		`{"num_attention_heads": 769}`:                 "head_dim",
		`{"head_dim": null}`:                           "head_dim is null",
		`{"head_dim": 0}`:                              "head_dim",
		`{"intermediate_size": -1}`:                    "intermediate_size",
		`{"num_channels": "3"}`:                        "num_channels",
		`{"image_size": 15}`:                           "patch_size",
		`{"image_size": [224]}`:                        "image_size",
		`{"image_size": [224, 224, 224]}`:              "image_size",
		`{"image_size": 1000000}`:                      "image_size",
		`{"patch_size": [16, 0]}`:                      "patch_size",
		`{"layer_norm_eps": -1}`:                       "layer_norm_eps",
		`{"layer_norm_eps": NaN}`:                      "layer_norm_eps",
		`{"hidden_act": "prelu"}`:                      "hidden_act",
		`{"qkv_bias": 1}`:                              "qkv_bias",
		`{"num_labels": 0}`:                            "num_labels is 0",
		`{"id2label": {"1": "a", "01": "b"}}`:          "id2label",
		`{"hidden_size": 768, "hidden_size": [1, {}]}`: "hidden_size",
	} {
		_, err := vit.ParseConfig([]byte(text))
		require.ErrorIs(t, err, vit.ErrConfig, text)
		require.ErrorContains(t, err, want)
	}
	c, err := vit.ParseConfig([]byte(`{"Hidden_Size": 1, "pooler_act": 7, "encoder_stride": null, "is_causal": false, "num_attention_heads": 7}`))
	require.NoError(t, err)
	require.Equal(t, 196, c.Patches())
	require.Equal(t, 109, c.HeadDim)
	require.Equal(t, 2, c.Classes())
}
