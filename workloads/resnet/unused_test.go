package resnet_test

import (
	"context"
	"testing"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/workloads/resnet"
)

// TestUsed: the loader uses these keys and tensors, and nothing else.
func TestUsed(t *testing.T) {
	familytest.Rule{
		Dir: "../../testdata/resnet/basic", Layer: "resnet.encoder.stages.",
		Used: []string{
			"num_channels", "embedding_size", "hidden_sizes", "depths", "layer_type", "hidden_act", "downsample_in_first_stage", "downsample_in_bottleneck",
			"id2label", "num_labels",
		},
		Run: func(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
			m, err := resnet.Load(ctx, dir, resnet.LoadOptions{Size: 33})
			if err != nil {
				return nil, err
			}
			defer m.Close()
			return familytest.Values(ctx, s, genie.Feed{"pixels": genie.Float32s(familytest.Ramp(3*33*33), 1, 3, 33, 33)}, m.Logits)
		},
	}.Check(t)
}
