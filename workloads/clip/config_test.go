package clip_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/workloads/clip"
)

// TestBadConfig verifies that each broken field is named.
func TestBadConfig(t *testing.T) {
	for text, field := range map[string]string{
		`{`: "", `[]`: "",
		`{"projection_dim": 0}`:                                                            "projection_dim",
		`{"text_config": 3}`:                                                               "text_config",
		`{"vision_config": []}`:                                                            "vision_config",
		`{"text_config": {"hidden_size": 0}}`:                                              "text_config.hidden_size",
		`{"text_config": {"num_attention_heads": 7}}`:                                      "num_attention_heads",
		`{"text_config": {"hidden_act": "prelu"}}`:                                         "text_config.hidden_act",
		`{"text_config": {"layer_norm_eps": -1}}`:                                          "layer_norm_eps",
		`{"text_config": {"eos_token_id": [1, 2]}}`:                                        "token id",
		`{"text_config": {"eos_token_id": null}}`:                                          "token id",
		`{"text_config": {"eos_token_id": -1}}`:                                            "eos_token_id",
		`{"text_config": {"vocab_size": 99999999}}`:                                        "vocab_size",
		`{"text_config": {"is_causal": false}}`:                                            "text_config.is_causal",
		`{"vision_config": {"is_causal": true}}`:                                           "vision_config.is_causal",
		`{"vision_config": {"patch_size": 225}}`:                                           "patch_size",
		`{"vision_config": {"num_hidden_layers": -1}}`:                                     "vision_config.num_hidden_layers",
		`{"vision_config": {"image_size": [224, 224]}}`:                                    "vision_config",
		`{"vision_config": {"hidden_size": 768}, "vision_config_dict": {"patch_size": 0}}`: "patch_size",
	} {
		_, err := clip.ParseConfig([]byte(text))
		require.ErrorIs(t, err, clip.ErrConfig, text)
		require.ErrorContains(t, err, field)
	}
}

// TestConfigForms reads the forms that published configurations have.
func TestConfigForms(t *testing.T) {
	for name, c := range map[string]struct {
		text                string
		hidden, eos, joined int
	}{
		"silent":      {`{}`, 512, 49407, 512},
		"old end":     {`{"text_config": {"eos_token_id": 2}, "projection_dim": 768}`, 512, 2, 768},
		"list of one": {`{"text_config": {"eos_token_id": [5]}}`, 512, 5, 512},
		"null dict":   {`{"text_config": {"hidden_size": 64, "eos_token_id": 2}, "text_config_dict": null}`, 64, 2, 512},
		"both":        {`{"text_config": {"hidden_size": 64, "eos_token_id": 2}, "text_config_dict": {"hidden_size": 768}}`, 768, 49407, 512},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := clip.ParseConfig([]byte(c.text))
			require.NoError(t, err)
			require.Equal(t, c.hidden, got.Text.Hidden)
			require.EqualValues(t, c.eos, got.Text.EOS)
			require.Equal(t, c.joined, got.Projection)
		})
	}
}
