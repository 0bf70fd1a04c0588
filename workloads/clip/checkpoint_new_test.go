package clip_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/internal/randomweights"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/clip"
)

// TestPresets holds the sizes of the published models, which transformers
// counts.
func TestPresets(t *testing.T) {
	published := map[string]int64{"clip-vit-base-patch32": 151277313, "clip-vit-large-patch14": 427616513}
	for _, name := range clip.Presets() {
		c, ok := clip.Preset(name)
		require.True(t, ok)
		require.Equal(t, published[name], c.Parameters(), name)
	}
	_, ok := clip.Preset("clip")
	require.False(t, ok)
}

func small(act string) clip.Config {
	c, _ := clip.Preset("clip-vit-base-patch32")
	c.Text.Hidden, c.Text.Inner, c.Text.Layers, c.Text.Heads, c.Text.Vocab, c.Text.Positions = 32, 64, 2, 2, 97, 11
	c.Vision.Hidden, c.Vision.Inner, c.Vision.Layers, c.Vision.Heads, c.Vision.Image, c.Vision.Patch = 48, 96, 2, 3, 20, 5
	c.Text.Activation, c.Vision.Activation, c.Projection = act, act, 24
	return c
}

// TestNewCheckpoint loads and runs what it wrote, and holds its bytes:
// references of checkpoints with random weights depend on them.
func TestNewCheckpoint(t *testing.T) {
	for _, c := range []struct {
		act, want string
		dtype     plan.DType
	}{
		{clip.QuickGELU, "5d76b11600a2e59b552d2a379c4a0d71e9f85d6e09a97baad8de993a2f6f6d75", plan.F32},
		{clip.GELU, "dcd59eca0e34a1591c3525102d9fc8666b238b05b7db3a2ed5daa243ba57c573", plan.BF16},
	} {
		t.Run(c.dtype.String(), func(t *testing.T) {
			dir := t.TempDir()
			want := small(c.act)
			require.NoError(t, clip.NewCheckpointOf(t.Context(), want, 1, dir, workloads.CheckpointOptions{DType: c.dtype}))
			content, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
			require.NoError(t, err)
			sum := blake3.Sum256(content)
			require.Equal(t, c.want, hex.EncodeToString(sum[:]))
			m, err := clip.Load(t.Context(), dir, clip.LoadOptions{})
			require.NoError(t, err)
			defer m.Close()
			require.Equal(t, want, m.Config)

			g := golden{Tokens: [][]int32{{3, 9, 96}, {50, 7, 96}}, Mask: [][]int32{{1, 1, 1}, {1, 1, 1}}}
			logits := run(t.Context(), t, "local:", semantic.Full(), g.feed(want, 2, 2), []*lazy.Tensor{m.LogitsPerImage})[0]
			require.Greater(t, max(logits[0], -logits[0]), float32(0.01))
			require.NotEqual(t, logits[0], logits[1])
			for _, v := range logits {
				require.Less(t, max(v, -v), float32(100.1), "a cosine is at most 1")
			}
			var pre map[string]any
			text, err := os.ReadFile(filepath.Join(dir, randomweights.PreprocessorFile))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &pre))
			require.Equal(t, map[string]any{"height": 20.0, "width": 20.0}, pre["crop_size"])
		})
	}
}

func TestNewCheckpointRefuses(t *testing.T) {
	dir := t.TempDir()
	require.ErrorIs(t, clip.NewCheckpoint(t.Context(), "clip", 1, dir, workloads.CheckpointOptions{}), workloads.ErrUnknownArchitecture)
	require.ErrorIs(t, clip.NewCheckpointOf(t.Context(), clip.Config{}, 1, dir, workloads.CheckpointOptions{}), clip.ErrConfig)
	require.ErrorIs(t, clip.NewCheckpointOf(t.Context(), small(clip.GELU), 1, dir, workloads.CheckpointOptions{DType: plan.I64}), clip.ErrConfig)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
