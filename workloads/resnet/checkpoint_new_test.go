package resnet_test

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/internal/randomweights"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/resnet"
)

func small(kind string) resnet.Config {
	return resnet.Config{
		Channels: 3, Embedding: 8, HiddenSizes: []int{16, 32}, Depths: []int{2, 1}, LayerType: kind, Activation: "relu",
		Labels: map[string]string{"0": "cat", "1": "dog", "2": "hen"},
	}
}

// TestPresets checks the sizes of the published models: the weights that
// torchvision states for the three, and the running statistics beside them.
func TestPresets(t *testing.T) {
	statistics := map[string]int64{"resnet-18": 2 * 4800, "resnet-50": 2 * 26560, "resnet-152": 2 * 75712}
	published := map[string]int64{"resnet-18": 11689512, "resnet-50": 25557032, "resnet-152": 60192808}
	for _, name := range resnet.Presets() {
		c, ok := resnet.Preset(name)
		require.True(t, ok)
		require.Equal(t, 1000, c.Classes())
		require.Equal(t, published[name]+statistics[name], c.Parameters(), name)
	}
	_, ok := resnet.Preset("resnet-19")
	require.False(t, ok)
}

// TestNewCheckpoint loads its output, and checks its bytes: references of
// checkpoints with random weights depend on them.
func TestNewCheckpoint(t *testing.T) {
	for _, c := range []struct {
		kind, want string
		dtype      plan.DType
	}{
		{resnet.Basic, "05964bb071574c17219afcf44340c955e21d44654bca8ff59b6a4897dc35b58b", plan.F32},
		{resnet.Bottleneck, "c7523c36af9a3bfb04f2ccaa14fb68517c15c27129bf6d17d318c361dc8ae5f8", plan.F32},
		{resnet.Bottleneck, "d06ada5d23db637f4198f8ebfabebd6c266db70349e211f0e1115a94ab55ebde", plan.F16},
	} {
		t.Run(c.kind+"/"+c.dtype.String(), func(t *testing.T) {
			dir := t.TempDir()
			want := small(c.kind)
			require.NoError(t, resnet.NewCheckpointOf(t.Context(), want, 1, dir, workloads.CheckpointOptions{DType: c.dtype}))
			content, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
			require.NoError(t, err)
			sum := blake3.Sum256(content)
			require.Equal(t, c.want, hex.EncodeToString(sum[:]))

			m, err := resnet.Load(t.Context(), dir, resnet.LoadOptions{Size: 32})
			require.NoError(t, err)
			defer m.Close()
			require.Equal(t, want, m.Config)
			requireOrderOne(t, m)
			var pre map[string]any
			text, err := os.ReadFile(filepath.Join(dir, randomweights.PreprocessorFile))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &pre))
			require.Equal(t, []any{0.485, 0.456, 0.406}, pre["image_mean"])
			require.Equal(t, map[string]any{"shortest_edge": 256.0}, pre["size"])
		})
	}
}

// requireOrderOne runs the model and checks the size of the logits.
func requireOrderOne(t *testing.T, m *resnet.Model) {
	t.Helper()
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer client.Close()
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	out, err := s.Run(t.Context(), genie.Feed{"pixels": genie.Float32s(familytest.Waves(3*32*32), 1, 3, 32, 32)}, m.Logits)
	require.NoError(t, err)
	logits, err := out[0].Float32s(t.Context())
	require.NoError(t, err)
	top := 0.0
	for _, v := range logits {
		top = max(top, math.Abs(float64(v)))
	}
	require.Greater(t, top, 0.5)
	require.Less(t, top, 50.0)
}

func TestNewCheckpointRefuses(t *testing.T) {
	dir := t.TempDir()
	require.ErrorIs(t, resnet.NewCheckpoint(t.Context(), "resnet-19", 1, dir, workloads.CheckpointOptions{}), workloads.ErrUnknownArchitecture)
	require.ErrorIs(t, resnet.NewCheckpointOf(t.Context(), resnet.Config{}, 1, dir, workloads.CheckpointOptions{}), resnet.ErrConfig)
	require.ErrorIs(t, resnet.NewCheckpointOf(t.Context(), small(resnet.Basic), 1, dir, workloads.CheckpointOptions{DType: plan.I64}), resnet.ErrConfig)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
