package vit_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/vit"
)

// TestGoldens compares with transformers' results in float64, in-process and on
// workers, under each policy, with the same bits alone and in a batch.
func TestGoldens(t *testing.T) {
	for _, name := range []string{"basic", "odd", "narrow"} {
		t.Run(name, func(t *testing.T) { familytest.Classifier(t, vit.Family(), filepath.Join("testdata", name)) })
	}
}

// variant is an entry of variants.json: a checkpoint that differs from basic in
// one change, and transformers' result for it.
type variant struct {
	Name   string                     `json:"name"`
	Set    map[string]json.RawMessage `json:"set"`
	Drop   []string                   `json:"drop"`
	Height int                        `json:"height"`
	Width  int                        `json:"width"`
	Want   struct {
		Logits  []float64 `json:"logits"`
		Labels  []string  `json:"labels"`
		Missing []string  `json:"missing"`
		Raises  string    `json:"raises"`
	} `json:"want"`
}

func (v variant) dir(t *testing.T) string {
	t.Helper()
	base, dir := filepath.Join("testdata", "basic"), t.TempDir()
	config := checkpointtest.ReadObject(t, filepath.Join(base, "config.json"))
	maps.Copy(config, v.Set)
	for _, key := range v.Drop {
		delete(config, key)
	}
	checkpointtest.WriteObject(t, filepath.Join(dir, "config.json"), config)
	checkpointtest.ReadTensors(t, filepath.Join(base, "model.safetensors")).Write(t, filepath.Join(dir, "model.safetensors"), nil)
	return dir
}

// TestVariants: checkpoints with one change give transformers' result, or are
// refused by the name of the key; what transformers cannot load is refused.
func TestVariants(t *testing.T) {
	var file struct {
		Variants []variant `json:"variants"`
	}
	text, err := os.ReadFile(filepath.Join("testdata", "variants.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &file))
	require.NotEmpty(t, file.Variants)
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer client.Close()
	for _, v := range file.Variants {
		t.Run(v.Name, func(t *testing.T) {
			m, err := vit.Load(t.Context(), v.dir(t), vit.LoadOptions{})
			if _, causal := v.Set["is_causal"]; causal {
				require.ErrorIs(t, err, workloads.ErrFamily)
				require.ErrorContains(t, err, "is_causal")
				return
			}
			if v.Want.Logits == nil {
				require.Error(t, err)
				require.Contains(t, err.Error(), "genie: ")
				return
			}
			require.NoError(t, err)
			defer func() { require.NoError(t, m.Close()) }()
			s, err := client.NewSession(t.Context())
			require.NoError(t, err)
			defer s.Close()
			pixels := genie.Float32s(familytest.Waves(3*v.Height*v.Width), 1, 3, v.Height, v.Width)
			got, err := familytest.Values(t.Context(), s, genie.Feed{"pixels": pixels}, m.Logits)
			require.NoError(t, err)
			require.Len(t, got, len(v.Want.Logits))
			top := 0.0
			for _, x := range v.Want.Logits {
				top = max(top, math.Abs(x))
			}
			for i, x := range v.Want.Logits {
				require.InDelta(t, x, got[i], 1e-5*top)
				require.Equal(t, v.Want.Labels[i], m.Config.Labels[strconv.Itoa(i)])
			}
		})
	}
}
