package checkpoint_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/safetensors"
)

const sidecarName = "genie-hashes.json"

func TestHashTensorGolden(t *testing.T) {
	x := safetensors.Tensor{DType: safetensors.F32, Shape: []int64{1, 2}, Data: []byte{0, 1, 2, 3, 4, 5, 6, 7}}
	canonical := "F32\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" +
		"\x01\x00\x00\x00\x00\x00\x00\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" + "\x00\x01\x02\x03\x04\x05\x06\x07"
	assert.Equal(t, blake3.Sum256([]byte(canonical)), checkpoint.HashTensor(x))
	got := checkpoint.HashTensor(x)
	assert.Equal(t, "fa3bdc47cde1a61570a4df5b8059d77579c9123b8a6c5c2c759b1b5d9fc6b09b", hex.EncodeToString(got[:]))
}

// Tensors that differ in anything have different hashes.
func TestHashTensorSeparates(t *testing.T) {
	data := make([]byte, 8)
	seen := make(map[checkpoint.Digest]string)
	for name, x := range map[string]safetensors.Tensor{
		"f32":    {DType: safetensors.F32, Shape: []int64{2}, Data: data},
		"i32":    {DType: safetensors.I32, Shape: []int64{2}, Data: data},
		"1x2":    {DType: safetensors.F32, Shape: []int64{1, 2}, Data: data},
		"2x1":    {DType: safetensors.F32, Shape: []int64{2, 1}, Data: data},
		"data":   {DType: safetensors.F32, Shape: []int64{2}, Data: []byte{1, 0, 0, 0, 0, 0, 0, 0}},
		"scalar": {DType: safetensors.F64, Data: data},
		// The rank keeps a dimension from being read as data and the other way.
		"empty": {DType: safetensors.F64, Shape: []int64{0}},
	} {
		d := checkpoint.HashTensor(x)
		assert.Empty(t, seen[d], name)
		seen[d] = name
	}
}

// later is a time at which a file that was just written is old.
func later() time.Time { return time.Now().Add(time.Hour) }

// openCounting opens dir and counts the bytes that get hashed.
func openCounting(t *testing.T, dir, cache string) (*checkpoint.Model, *int64) {
	t.Helper()
	hashed := new(int64)
	m, err := checkpoint.Open(dir, checkpoint.Options{Hashes: cache, Now: later, Progress: func(done, total int64) {
		assert.Greater(t, done, *hashed)
		assert.LessOrEqual(t, done, total)
		*hashed = done
	}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close()) })
	return m, hashed
}

func checkHashes(t *testing.T, m *checkpoint.Model) {
	t.Helper()
	for _, name := range m.Names() {
		x, err := m.Tensor(name)
		require.NoError(t, err)
		got, err := m.Hash(name)
		require.NoError(t, err)
		assert.Equal(t, checkpoint.HashTensor(x), got, name)
	}
}

func TestHashIsStoredAndReused(t *testing.T) {
	for _, where := range []string{filepath.Join(t.TempDir(), "made", "here"), checkpoint.HashesBeside} {
		dir := newModel(t, weights{{"w", strings.Repeat("w", 5<<20)}, {"b", "3"}, {"e", ""}})
		m, hashed := openCounting(t, dir, where)
		_, err := m.Hash("nothing")
		require.ErrorIs(t, err, checkpoint.ErrMissingTensor)
		assert.Zero(t, *hashed)
		checkHashes(t, m)
		assert.Equal(t, int64(5<<20+1), *hashed)

		again, hashed := openCounting(t, dir, where)
		checkHashes(t, again)
		assert.Zero(t, *hashed, "the stored hashes are used")
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		if where == checkpoint.HashesBeside {
			assert.FileExists(t, filepath.Join(dir, sidecarName))
			assert.Len(t, left, 3, "config, weights, hashes and no temporary file")
		} else {
			assert.Len(t, left, 2, "config and weights: nothing is written beside a model unasked")
		}
		nowhere, hashed := openCounting(t, dir, checkpoint.HashesNowhere)
		checkHashes(t, nowhere)
		assert.NotZero(t, *hashed)
	}
}

// TestHashesBesideAreNotRead unless they are asked for.
func TestHashesBesideAreNotRead(t *testing.T) {
	dir, cache := newModel(t, weights{{"w", "12"}}), t.TempDir()
	beside, hashed := openCounting(t, dir, checkpoint.HashesBeside)
	checkHashes(t, beside)
	assert.NotZero(t, *hashed)
	m, hashed := openCounting(t, dir, cache)
	checkHashes(t, m)
	assert.NotZero(t, *hashed)
}

func TestHashIgnoresBadSidecars(t *testing.T) {
	good := func(t *testing.T, dir string) map[string]any {
		t.Helper()
		m, _ := openCounting(t, dir, checkpoint.HashesBeside)
		checkHashes(t, m)
		text, err := os.ReadFile(filepath.Join(dir, sidecarName))
		require.NoError(t, err)
		var s map[string]any
		require.NoError(t, json.Unmarshal(text, &s))
		return s
	}
	tensors := func(s map[string]any) map[string]any {
		return s["files"].(map[string]any)["model.safetensors"].(map[string]any)["tensors"].(map[string]any)
	}
	cases := []struct {
		name string
		edit func(s map[string]any)
	}{
		{"other version", func(s map[string]any) { s["version"] = 1 }},
		{"another hash", func(s map[string]any) { tensors(s)["w"] = strings.Repeat("00", 32) }},
		{"other algorithm", func(s map[string]any) { s["algorithm"] = "md5" }},
		{"tensor absent", func(s map[string]any) { delete(tensors(s), "w") }},
		{"hash too short", func(s map[string]any) { tensors(s)["w"] = "00" }},
		{"hash not hex", func(s map[string]any) { tensors(s)["w"] = strings.Repeat("zz", 32) }},
		{"other type", func(s map[string]any) { s["files"] = 3 }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := newModel(t, weights{{"w", "12"}, {"b", "3"}})
			s := good(t, dir)
			c.edit(s)
			text, err := json.Marshal(s)
			require.NoError(t, err)
			writeText(t, filepath.Join(dir, sidecarName), string(text))
			m, hashed := openCounting(t, dir, checkpoint.HashesBeside)
			checkHashes(t, m)
			assert.NotZero(t, *hashed)
			checked, hashed := openCounting(t, dir, checkpoint.HashesBeside)
			checkHashes(t, checked)
			assert.Zero(t, *hashed, "the bad file was replaced")
		})
	}
}

// TestHashWithoutAPlace: hashes that cannot be stored are computed. A folder in
// the place of the file stands for a directory that cannot be written;
// permissions would not stop a test that runs as root.
func TestHashWithoutAPlace(t *testing.T) {
	dir := newModel(t, weights{{"w", "12"}})
	require.NoError(t, os.MkdirAll(filepath.Join(dir, sidecarName, "x"), 0o700))
	blocked := filepath.Join(t.TempDir(), "file")
	writeText(t, blocked, "")
	for _, where := range []string{checkpoint.HashesBeside, blocked} {
		m, hashed := openCounting(t, dir, where)
		checkHashes(t, m)
		assert.NotZero(t, *hashed)
	}
}

func TestHashShards(t *testing.T) {
	dir, cache := newShards(t, map[string]string{"a": "s1.safetensors", "c": "s2.safetensors"}), t.TempDir()
	first, hashed := openCounting(t, dir, cache)
	checkHashes(t, first)
	assert.NotZero(t, *hashed)
	m, hashed := openCounting(t, dir, cache)
	checkHashes(t, m)
	assert.Zero(t, *hashed)
}

func TestHashStops(t *testing.T) {
	dir := newModel(t, weights{{"w", strings.Repeat("w", 20<<20)}})
	ctx, cancel := context.WithCancel(t.Context())
	m, err := checkpoint.Open(dir, checkpoint.Options{Hashes: checkpoint.HashesBeside, Now: later, Workers: 1, Progress: func(done, total int64) {
		cancel()
		assert.Less(t, done, total, "no progress after the cancellation")
	}})
	require.NoError(t, err)
	defer m.Close()
	require.ErrorIs(t, m.HashAll(ctx), context.Canceled)
	assert.NoFileExists(t, filepath.Join(dir, sidecarName))

	var closing *checkpoint.Model
	closed := make(chan error, 1)
	started := false
	closing, err = checkpoint.Open(dir, checkpoint.Options{Hashes: checkpoint.HashesBeside, Now: later, Workers: 1, Progress: func(int64, int64) {
		if !started {
			started = true
			ready := make(chan struct{})
			go func() { close(ready); closed <- closing.Close() }()
			<-ready
		}
	}})
	require.NoError(t, err)
	if err := closing.HashAll(t.Context()); err != nil { // the close may come too late
		require.ErrorIs(t, err, checkpoint.ErrClosed)
	}
	require.NoError(t, <-closed)
}

func TestHashNoticesChangeInPlace(t *testing.T) {
	dir := newModel(t, weights{{"w", "12"}})
	path := filepath.Join(dir, "model.safetensors")
	m, err := checkpoint.Open(dir, checkpoint.Options{Hashes: checkpoint.HashesBeside, Now: later, Progress: func(int64, int64) {
		require.NoError(t, os.Chtimes(path, time.Time{}, time.Unix(1, 0)))
	}})
	require.NoError(t, err)
	defer m.Close()
	_, err = m.Hash("w")
	require.ErrorIs(t, err, checkpoint.ErrChanged)
	assert.NoFileExists(t, filepath.Join(dir, sidecarName))
}

// TestHashOfACutFile: a file that is cut short while it is hashed is an error
// that names it, and another model is not concerned.
func TestHashOfACutFile(t *testing.T) {
	for _, left := range []int64{0, 4097, 9 << 20} {
		dir := newModel(t, weights{{"w", strings.Repeat("w", 20<<20)}})
		path := filepath.Join(dir, "model.safetensors")
		m, err := checkpoint.Open(dir, checkpoint.Options{Hashes: checkpoint.HashesNowhere, Workers: 1, Progress: func(int64, int64) {
			require.NoError(t, os.Truncate(path, left))
		}})
		require.NoError(t, err)
		_, err = m.Hash("w")
		require.ErrorIs(t, err, checkpoint.ErrCorrupt)
		require.ErrorIs(t, err, safetensors.ErrCorrupt)
		require.ErrorContains(t, err, path)
		require.NoError(t, m.Close())
	}
	checkHashes(t, open(t, newModel(t, weights{{"w", "12"}})))
}
