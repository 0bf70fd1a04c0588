package easyvqa_test

import (
	"context"
	"testing"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/workloads/easyvqa"
)

// TestUsed: the loader uses these keys and tensors, and nothing else.
func TestUsed(t *testing.T) {
	familytest.Rule{
		Dir: "../../testdata/models/easy-vqa", Layer: "conv.", Own: true,
		Used: []string{"image_size", "channels", "embedding", "features", "vocab", "answers"},
		Run: func(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
			m, err := easyvqa.Load(ctx, dir, easyvqa.LoadOptions{})
			if err != nil {
				return nil, err
			}
			defer m.Close()
			n := m.Config.Size
			return familytest.Values(ctx, s, genie.Feed{
				"pixels": genie.Float32s(familytest.Ramp(3*n*n), 1, 3, n, n), "image": genie.Int32s([]int32{0}, 1),
				"words": genie.Int32s([]int32{1, 2, 3}, 1, 3),
			}, m.Logits)
		},
	}.Check(t)
}
