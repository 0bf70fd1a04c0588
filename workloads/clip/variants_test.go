package clip_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/workloads/clip"
)

// TestVariants compares with what transformers computes of masks with holes and
// of checkpoints that are changed in one thing; what it cannot load is refused.
func TestVariants(t *testing.T) {
	ctx := context.Background()
	client, err := genie.Open(ctx, "local:")
	require.NoError(t, err)
	defer client.Close()
	for _, v := range checkpointtest.Variants(t, "../../testdata", "clip") {
		t.Run(v.Name, func(t *testing.T) {
			m, err := clip.Load(ctx, v.Dir(t, "../../testdata"), clip.LoadOptions{})
			if v.Want.Rows == nil {
				require.Error(t, err)
				require.Contains(t, err.Error(), "genie: ")
				return
			}
			require.NoError(t, err)
			defer m.Close()
			s, err := client.NewSession(ctx)
			require.NoError(t, err)
			defer s.Close()
			out, err := s.Run(ctx, genie.Feed{
				"pixels": genie.Float32s(pixels(3*20*20), 1, 3, 20, 20), "tokens": matrix(v.Texts), "mask": matrix(v.Mask),
			}, m.TextEmbeds, m.LogitsPerImage)
			require.NoError(t, err)
			for i, want := range [][]float32{v.Want.Rows, v.Want.Logits} {
				got, err := out[i].Float32s(ctx)
				require.NoError(t, err)
				top := 0.0
				for _, x := range want {
					top = max(top, math.Abs(float64(x)))
				}
				require.InDeltaSlice(t, want, got, 2e-5*top)
			}
		})
	}
}

func matrix(rows [][]int) *genie.Value {
	var out []int32
	for _, v := range slices.Concat(rows...) {
		out = append(out, int32(v))
	}
	return genie.Int32s(out, len(rows), len(rows[0]))
}

// TestRelatives verifies that what is like CLIP and computes something else is
// refused by its type.
func TestRelatives(t *testing.T) {
	for _, name := range []string{"siglip", "chinese_clip", "altclip", "clipseg", "clip_text_model", "clip_vision_model", "align", "xclip", "metaclip_2"} {
		_, err := clip.ParseConfig([]byte(`{"model_type": "` + name + `"}`))
		require.ErrorIs(t, err, clip.ErrConfig)
		require.ErrorContains(t, err, `model_type is "`+name+`"`)
	}
}
