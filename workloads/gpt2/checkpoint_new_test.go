package gpt2

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/safetensors"
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
		dtype safetensors.DType
		want  string
	}{
		{1, safetensors.F32, "0a28125d6dfb4a751338ee09235ffb47295636b60ca4e9427005a9c6b8935a72"},
		{2, safetensors.F32, "12334b6fcfdea93f2b3ba2d9ec5fea4279b1318af0b8d49de14f65d0845138de"},
		{1, safetensors.F16, "1c4805b9659e8e755d0b96edbedaa0e39d0ecccf7ca3b62c3b04da83e0b6ec17"},
		{1, safetensors.BF16, "c0669b5a39f0d02b1c1c0685bcd09114dd06670ed9d35156b8001de93861f46b"},
	} {
		t.Run(string(c.dtype)+"/"+string(rune('0'+c.seed)), func(t *testing.T) {
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
		x, err := m.Need(s.name, f32, s.shape)
		require.NoError(t, err)
		checkMoments(t, s, x.Data)
	}
	_, err = m.Tensor("lm_head.weight")
	require.ErrorIs(t, err, checkpoint.ErrMissingTensor, "a tied head is not stored")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2)
}

// checkMoments compares mean and deviation with what was asked for, within
// five standard errors.
func checkMoments(t *testing.T, s weightSpec, data []byte) {
	t.Helper()
	n, sum, squares := float64(len(data)/4), 0.0, 0.0
	for i := 0; i < len(data); i += 4 {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))) - s.mean
		sum += v
		squares += v * v
		assert.LessOrEqual(t, math.Abs(v), 3.47*s.std, s.name)
	}
	assert.InDelta(t, 0, sum/n, 5*s.std/math.Sqrt(n), s.name)
	assert.InDelta(t, s.std, math.Sqrt(squares/n), 5*s.std/math.Sqrt(2*n), s.name)
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
	require.ErrorIs(t, NewCheckpoint(t.Context(), "gpt2-tiny", 1, dir, CheckpointOptions{DType: safetensors.I8}), ErrConfig)
	require.ErrorIs(t, NewCheckpointOf(t.Context(), Config{}, 1, dir, CheckpointOptions{}), ErrConfig)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	if _, ok := freeBytes(dir); ok {
		require.ErrorIs(t, checkSpace(dir, math.MaxInt64/2), ErrNoSpace)
		require.NoError(t, checkSpace(dir, 1))
	}
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

func TestHalfPrecisionRounding(t *testing.T) {
	for _, c := range []struct {
		x    float32
		f16  uint16
		bf16 uint16
	}{
		{0, 0, 0},
		{1, 0x3c00, 0x3f80},
		{-2, 0xc000, 0xc000},
		{0.1, 0x2e66, 0x3dcd},
		{1 + 1.0/2048, 0x3c00, 0x3f80},       // a tie, to even
		{1 + 3.0/2048, 0x3c02, 0x3f80},       // a tie, to even
		{1.99999, 0x4000, 0x4000},            // carries into the exponent
		{6.103515625e-05, 0x0400, 0x3880},    // the least normal float16
		{5.9604644775390625e-08, 1, 0x3380},  // the least subnormal
		{2.98023223876953125e-08, 0, 0x3300}, // half of it: a tie, to even
		{1e-10, 0, 0x2edc},
		{-1e-10, 0x8000, 0xaedc},
		{6.1e-05, 0x03ff, 0x3880},
	} {
		assert.Equal(t, c.f16, float16Bits(c.x), "float16 of %v", c.x)
		assert.Equal(t, c.bf16, bfloat16Bits(c.x), "bfloat16 of %v", c.x)
	}
}

func BenchmarkNoise(b *testing.B) {
	n := newNoise(1, weightSpec{name: "transformer.wte.weight", std: 0.02})
	buf := make([]byte, 0, 4*chunkElements)
	b.SetBytes(4 * chunkElements)
	b.ReportAllocs()
	for b.Loop() {
		buf = n.fill(buf[:0], safetensors.F32, 0, chunkElements)
	}
}
