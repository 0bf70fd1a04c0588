package clip_test

import (
	"context"
	"testing"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/workloads/clip"
)

// TestUsed: the loader uses these keys and tensors, and nothing else.
func TestUsed(t *testing.T) {
	used := []string{"projection_dim", "text_config", "vision_config", "text_config_dict", "vision_config_dict"}
	tower := []string{"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps"}
	used = append(used, familytest.Nested("vision_config", "is_causal")...)
	used = append(used, familytest.Nested("text_config", append([]string{"vocab_size", "max_position_embeddings", "eos_token_id"}, tower...)...)...)
	used = append(used, familytest.Nested("vision_config", append([]string{"num_channels", "image_size", "patch_size"}, tower...)...)...)
	familytest.Rule{
		Dir: "../../testdata/clip/quick", Layer: "text_model.encoder.layers.", Used: used,
		Run: func(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
			m, err := clip.Load(ctx, dir, clip.LoadOptions{})
			if err != nil {
				return nil, err
			}
			defer m.Close()
			return familytest.Values(ctx, s, genie.Feed{
				"pixels": genie.Float32s(familytest.Ramp(3*20*20), 1, 3, 20, 20), "tokens": genie.Int32s([]int32{3, 8, 96}, 1, 3),
				"mask": genie.Int32s([]int32{1, 1, 1}, 1, 3),
			}, m.LogitsPerImage)
		},
	}.Check(t)
}
