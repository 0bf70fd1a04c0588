package resnet_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/workloads/resnet"
)

const goldens = "../../testdata/resnet"

// TestGoldens compares with what transformers computes, in-process and on
// workers, under each policy.
func TestGoldens(t *testing.T) {
	dirs, err := os.ReadDir(goldens)
	require.NoError(t, err)
	require.Len(t, dirs, 3)
	for _, d := range dirs {
		t.Run(d.Name(), func(t *testing.T) { familytest.Classifier(t, resnet.Family(), filepath.Join(goldens, d.Name())) })
	}
}

// TestBadConfig verifies that each broken field is named.
func TestBadConfig(t *testing.T) {
	for text, field := range map[string]string{
		`{`: "", `[]`: "",
		`{"num_channels": 0}`:                     "num_channels",
		`{"embedding_size": -1}`:                  "embedding_size",
		`{"depths": [1, 2]}`:                      "depths",
		`{"depths": [1], "hidden_sizes": [3]}`:    "hidden_sizes[0]",
		`{"depths": [0], "hidden_sizes": [8]}`:    "depths[0]",
		`{"layer_type": "wide"}`:                  "layer_type",
		`{"hidden_act": "prelu"}`:                 "hidden_act",
		`{"depths": [99999], "hidden_sizes":[8]}`: "depths[0]",
	} {
		_, err := resnet.ParseConfig([]byte(text))
		require.ErrorIs(t, err, resnet.ErrConfig, text)
		require.ErrorContains(t, err, field)
	}
	c, err := resnet.ParseConfig([]byte(`{}`))
	require.NoError(t, err)
	require.Equal(t, []int{3, 4, 6, 3}, c.Depths)
	require.Equal(t, 2, c.Classes())
}
