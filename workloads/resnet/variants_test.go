package resnet_test

import (
	"context"
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/workloads/resnet"
)

// TestVariants compares with transformers' results for checkpoints with one
// change, and for images that are not square; what it cannot load is refused.
func TestVariants(t *testing.T) {
	ctx := context.Background()
	client, err := genie.Open(ctx, "local:")
	require.NoError(t, err)
	defer client.Close()
	for _, v := range checkpointtest.Variants(t, "../../testdata", "resnet") {
		t.Run(v.Name, func(t *testing.T) {
			if v.Shape == nil {
				v.Shape = []int{40, 40}
			}
			h, w := v.Shape[0], v.Shape[1]
			m, err := resnet.Load(ctx, v.Dir(t, "../../testdata"), resnet.LoadOptions{Height: h, Width: w})
			if v.Want.Logits == nil {
				require.Error(t, err)
				require.Contains(t, err.Error(), "genie: ")
				return
			}
			require.NoError(t, err)
			defer m.Close()
			s, err := client.NewSession(ctx)
			require.NoError(t, err)
			defer s.Close()
			out, err := s.Run(ctx, genie.Feed{"pixels": genie.Float32s(familytest.Waves(3*h*w), 1, 3, h, w)}, m.Logits)
			require.NoError(t, err)
			got, err := out[0].Float32s(ctx)
			require.NoError(t, err)
			top := 0.0
			for _, x := range v.Want.Logits {
				top = max(top, math.Abs(float64(x)))
			}
			require.InDeltaSlice(t, v.Want.Logits, got, 2e-5*top)
			var labels []string
			for i := range m.Config.Classes() {
				labels = append(labels, m.Config.Labels[strconv.Itoa(i)])
			}
			require.Equal(t, v.Want.Labels, labels)
		})
	}
}

// TestConfigRefuses names what is wrong, and takes what is not used.
func TestConfigRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                                   "JSON",
		`{"model_type": "regnet"}`:            `model_type is "regnet"`,
		`{"model_type": "convnext"}`:          `model_type is "convnext"`,
		`{"model_type": "timm_wrapper"}`:      `model_type is "timm_wrapper"`,
		`{"model_type": "bit"}`:               `model_type is "bit"`,
		`{"hidden_act": "prelu"}`:             "hidden_act",
		`{"layer_type": "wide"}`:              "layer_type",
		`{"depths": [1, 2.5]}`:                "depths",
		`{"depths": [1]}`:                     "depths for 1 stages",
		`{"num_channels": "3"}`:               "num_channels",
		`{"num_labels": 0}`:                   "num_labels is 0",
		`{"num_labels": -1}`:                  "num_labels is -1",
		`{"num_labels": 1e12}`:                "num_labels",
		`{"id2label": ["a", "b"]}`:            "id2label",
		`{"id2label": {"x": "a"}}`:            "id2label",
		`{"id2label": {"1": "a", "01": "b"}}`: "id2label",
	} {
		_, err := resnet.ParseConfig([]byte(text))
		require.ErrorIs(t, err, resnet.ErrConfig, text)
		require.ErrorContains(t, err, want)
	}
	for text, classes := range map[string]int{
		`{}`: 2, `{"num_labels": 5}`: 5, `{"num_labels": 5.0, "id2label": null, "label2id": 7}`: 5,
		`{"id2label": {"0": "a", "1": 2, "2": null}}`: 3, `{"out_features": 1, "stage_names": NaN, "Depths": [1]}`: 2,
	} {
		c, err := resnet.ParseConfig([]byte(text))
		require.NoError(t, err, text)
		require.Equal(t, classes, c.Classes(), text)
	}
}
