package gpt2

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/transport/plan"
)

func newTiny(t *testing.T, seed uint64, opts CheckpointOptions) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "made", "tiny")
	require.NoError(t, NewCheckpoint(t.Context(), "gpt2-tiny", seed, dir, opts))
	return dir
}

func fileHash(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	sum := blake3.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// The bytes are the same on every machine: goldens and content hashes of
// made checkpoints depend on it.
func TestCheckpointBytes(t *testing.T) {
	for _, c := range []struct {
		seed  uint64
		dtype plan.DType
		want  string
	}{
		{1, plan.F32, "0a28125d6dfb4a751338ee09235ffb47295636b60ca4e9427005a9c6b8935a72"},
		{2, plan.F32, "12334b6fcfdea93f2b3ba2d9ec5fea4279b1318af0b8d49de14f65d0845138de"},
		{1, plan.F16, "1c4805b9659e8e755d0b96edbedaa0e39d0ecccf7ca3b62c3b04da83e0b6ec17"},
		{1, plan.BF16, "c0669b5a39f0d02b1c1c0685bcd09114dd06670ed9d35156b8001de93861f46b"},
	} {
		t.Run(c.dtype.String()+"/"+string(rune('0'+c.seed)), func(t *testing.T) {
			for _, workers := range []int{0, 1, 5} {
				dir := newTiny(t, c.seed, CheckpointOptions{DType: c.dtype, Workers: workers})
				assert.Equal(t, c.want, fileHash(t, filepath.Join(dir, "model.safetensors")), "workers=%d", workers)
			}
		})
	}
}

func TestCheckpointOpens(t *testing.T) {
	defer goleak.VerifyNone(t)
	last := int64(0)
	dir := newTiny(t, 1, CheckpointOptions{Progress: func(done, total int64) {
		assert.Greater(t, done, last)
		assert.LessOrEqual(t, done, total)
		last = done
	}})
	m, err := checkpoint.Open(dir, checkpoint.Options{})
	require.NoError(t, err)
	defer m.Close()
	want, _ := Preset("gpt2-tiny")
	got, err := ParseConfig(m.ConfigJSON())
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, 4*want.Parameters(), last)
	assert.Len(t, m.Names(), 2+12*want.Layers+2)
	f32 := []safetensors.DType{safetensors.F32}
	for _, s := range weightSpecs(want) {
		_, err := m.Need(s.Name, f32, s.Shape)
		require.NoError(t, err)
	}
	_, err = m.Tensor("lm_head.weight")
	require.ErrorIs(t, err, checkpoint.ErrMissingTensor, "a tied head is not stored")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2)
}

func TestCheckpointUntied(t *testing.T) {
	c, _ := Preset("gpt2-tiny")
	c.TieWordEmbeddings, c.Inner = false, 40
	dir := t.TempDir()
	require.NoError(t, NewCheckpointOf(t.Context(), c, 1, dir, CheckpointOptions{}))
	m, err := checkpoint.Open(dir, checkpoint.Options{})
	require.NoError(t, err)
	defer m.Close()
	_, err = m.Need("lm_head.weight", nil, []int64{128, 32})
	require.NoError(t, err)
	_, err = m.Need("transformer.h.1.mlp.c_proj.weight", nil, []int64{40, 32})
	require.NoError(t, err)
}

func TestCheckpointRefuses(t *testing.T) {
	dir := t.TempDir()
	require.ErrorIs(t, NewCheckpoint(t.Context(), "gpt5", 1, dir, CheckpointOptions{}), ErrUnknownPreset)
	require.ErrorIs(t, NewCheckpoint(t.Context(), "gpt2-tiny", 1, dir, CheckpointOptions{DType: plan.I64}), ErrConfig)
	require.ErrorIs(t, NewCheckpointOf(t.Context(), Config{}, 1, dir, CheckpointOptions{}), ErrConfig)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Error(t, NewCheckpoint(t.Context(), "gpt2-tiny", 1, file, CheckpointOptions{}))
}

func TestCheckpointCancelled(t *testing.T) {
	defer goleak.VerifyNone(t)
	c, _ := Preset("gpt2-tiny")
	c.Vocab = 1 << 17 // 16 MiB, so that several chunks are under way
	for _, after := range []int{0, 1, 3} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		calls := 0
		if after == 0 {
			cancel()
		}
		err := NewCheckpointOf(ctx, c, 1, dir, CheckpointOptions{Progress: func(int64, int64) {
			if calls++; calls == after {
				cancel()
			}
		}})
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, after, calls)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left, "the temporary file is gone")
	}
}
