package vit_test

import (
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/internal/imaging"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/vit"
)

// TestPresets checks the sizes of the published models, as timm states them.
func TestPresets(t *testing.T) {
	published := map[string]int64{"vit-base-patch16-224": 86567656, "vit-large-patch16-224": 304326632}
	require.Len(t, vit.Presets(), len(published))
	for _, name := range vit.Presets() {
		c, ok := vit.Preset(name)
		require.True(t, ok)
		require.Equal(t, published[name], c.Parameters(), name)
	}
	_, ok := vit.Preset("vit-tiny")
	require.False(t, ok)
}

func small() vit.Config {
	return vit.Config{
		Hidden: 24, Inner: 40, Layers: 2, Heads: 3, HeadDim: 8, Activation: "gelu", Epsilon: 1e-12, QKVBias: true, Channels: 3,
		Image: [2]int{32, 24}, Patch: [2]int{8, 8}, Labels: map[string]string{"0": "cat", "1": "dog", "2": "hen"},
	}
}

// TestNewCheckpoint loads its output, and checks its bytes.
func TestNewCheckpoint(t *testing.T) {
	for dtype, want := range map[plan.DType]string{
		plan.F32: "24b1cee85bdc5c04708cfa5bc8516c8d33fd1852268d3a0147c83c1b6965a50d",
		plan.F16: "30cc837497d8efef2f249373ab07b33f4789052cb9a092e35e4bcbeefde7172e",
	} {
		t.Run(dtype.String(), func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, vit.NewCheckpointOf(t.Context(), small(), 1, dir, workloads.CheckpointOptions{DType: dtype}))
			content, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
			require.NoError(t, err)
			sum := blake3.Sum256(content)
			require.Equal(t, want, hex.EncodeToString(sum[:]))

			m, err := vit.Load(t.Context(), dir, vit.LoadOptions{})
			require.NoError(t, err)
			defer func() { require.NoError(t, m.Close()) }()
			require.Equal(t, small(), m.Config)
			requireOrderOne(t, m)
			p, err := imaging.LoadProcessor(dir, imaging.CLIP)
			require.NoError(t, err)
			pixels, err := p.Process(imaging.NewImage(100, 50))
			require.NoError(t, err)
			require.Equal(t, [2]int{pixels.Height, pixels.Width}, m.Config.Image)
		})
	}
}

// requireOrderOne runs the model and checks the size of the logits.
func requireOrderOne(t *testing.T, m *vit.Model) {
	t.Helper()
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer client.Close()
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	size := m.Config.Image
	feed := genie.Feed{"pixels": genie.Float32s(familytest.Waves(3*size[0]*size[1]), 1, 3, size[0], size[1])}
	logits, err := familytest.Values(t.Context(), s, feed, m.Logits)
	require.NoError(t, err)
	top := 0.0
	for _, v := range logits {
		top = max(top, math.Abs(float64(v)))
	}
	require.Greater(t, top, 0.3)
	require.Less(t, top, 30.0)
}

func TestNewCheckpointRefuses(t *testing.T) {
	dir := t.TempDir()
	require.ErrorIs(t, vit.NewCheckpoint(t.Context(), "vit-tiny", 1, dir, workloads.CheckpointOptions{}), workloads.ErrUnknownArchitecture)
	require.ErrorIs(t, vit.NewCheckpointOf(t.Context(), vit.Config{}, 1, dir, workloads.CheckpointOptions{}), vit.ErrConfig)
	require.ErrorIs(t, vit.NewCheckpointOf(t.Context(), small(), 1, dir, workloads.CheckpointOptions{DType: plan.I64}), vit.ErrConfig)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
