package checkpoint_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/safetensors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// weights describes a file to write: tensor name -> its bytes as U8.
type weights []struct {
	name string
	data string
}

func writeWeights(t *testing.T, path string, ws weights) {
	t.Helper()
	var entries []safetensors.Entry
	for _, w := range ws {
		entries = append(entries, safetensors.Entry{Name: w.name, DType: safetensors.U8, Shape: []int64{int64(len(w.data))}})
	}
	out, err := safetensors.Create(path, entries, nil)
	require.NoError(t, err)
	for _, w := range ws {
		require.NoError(t, out.Begin(w.name))
		_, err := out.Write([]byte(w.data))
		require.NoError(t, err)
	}
	require.NoError(t, out.Close())
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// newModel writes a one-file model and returns its folder.
func newModel(t *testing.T, ws weights) string {
	t.Helper()
	dir := t.TempDir()
	writeText(t, filepath.Join(dir, "config.json"), `{"n_layer": 2}`)
	writeWeights(t, filepath.Join(dir, "model.safetensors"), ws)
	return dir
}

// newShards writes a model of two shards with the given weight_map.
func newShards(t *testing.T, index map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	writeText(t, filepath.Join(dir, "config.json"), `{}`)
	writeWeights(t, filepath.Join(dir, "s1.safetensors"), weights{{"a", "aa"}, {"b", "bb"}})
	writeWeights(t, filepath.Join(dir, "s2.safetensors"), weights{{"c", "cc"}, {"a", "other"}})
	text, err := json.Marshal(map[string]any{"weight_map": index})
	require.NoError(t, err)
	writeText(t, filepath.Join(dir, "model.safetensors.index.json"), string(text))
	return dir
}

func open(t *testing.T, dir string) *checkpoint.Model {
	t.Helper()
	m, err := checkpoint.Open(dir, checkpoint.Options{Hashes: filepath.Join(t.TempDir(), "cache")})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close()) })
	return m
}

func TestSingleFile(t *testing.T) {
	m := open(t, newModel(t, weights{{"w", "12"}, {"b", "3"}}))
	var config struct {
		Layers int `json:"n_layer"`
	}
	require.NoError(t, m.Config(&config))
	assert.Equal(t, 2, config.Layers)
	assert.Equal(t, `{"n_layer": 2}`, string(m.ConfigJSON()))
	require.ErrorIs(t, m.Config(new([]int)), checkpoint.ErrCorrupt)
	assert.Equal(t, []string{"w", "b"}, m.Names())
	assert.Len(t, m.Files(), 1)
	w, err := m.Tensor("w")
	require.NoError(t, err)
	assert.Equal(t, "12", string(w.Data))
	_, err = m.Tensor("nothing")
	require.ErrorIs(t, err, checkpoint.ErrMissingTensor)
	require.ErrorContains(t, err, `model.safetensors: tensor "nothing"`)
	require.NoError(t, m.Close())
	_, err = m.Tensor("w")
	require.ErrorIs(t, err, checkpoint.ErrClosed)
	_, err = m.Hash("w")
	require.ErrorIs(t, err, checkpoint.ErrClosed)
}

func TestNeed(t *testing.T) {
	m := open(t, newModel(t, weights{{"w", "12"}}))
	u8, floats := []safetensors.DType{safetensors.U8}, []safetensors.DType{safetensors.F32, safetensors.F16}
	cases := []struct {
		name     string
		tensor   string
		dtypes   []safetensors.DType
		shape    []int64
		sentinel error
		text     string
	}{
		{"fits", "w", u8, []int64{2}, nil, ""},
		{"any dtype", "w", nil, []int64{2}, nil, ""},
		{"any size", "w", u8, []int64{-1}, nil, ""},
		{"other size", "w", u8, []int64{3}, checkpoint.ErrShape, "wanted U8 [3], found U8 [2]"},
		{"other rank", "w", u8, []int64{2, 1}, checkpoint.ErrShape, "wanted U8 [2 1], found U8 [2]"},
		{"other dtype", "w", floats, []int64{2}, checkpoint.ErrShape, "wanted F32 or F16 [2], found U8 [2]"},
		{"absent", "v", nil, []int64{2}, checkpoint.ErrMissingTensor, `tensor "v": wanted any dtype [2]`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := m.Need(c.tensor, c.dtypes, c.shape)
			if c.sentinel == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, c.sentinel)
			require.ErrorContains(t, err, "model.safetensors")
			require.ErrorContains(t, err, c.text)
		})
	}
}

// TestShards holds how transformers 5.24.0 reads an index: for the names of the
// files alone. Every tensor of theirs is the model's, whichever file the index
// places it in, and of two with one name that of the last file.
func TestShards(t *testing.T) {
	m := open(t, newShards(t, map[string]string{"a": "./s1.safetensors", "c": "s2.safetensors", "head": "s1.safetensors"}))
	assert.Equal(t, []string{"b", "c", "a"}, m.Names())
	a, err := m.Tensor("a")
	require.NoError(t, err)
	assert.Equal(t, "other", string(a.Data))
	assert.Len(t, m.Files(), 2)
	_, err = m.Tensor("d")
	require.ErrorIs(t, err, checkpoint.ErrMissingTensor)
	require.ErrorContains(t, err, "index.json")
	_, _, err = m.Resolve("").Need("head", nil, []int64{1})
	require.ErrorIs(t, err, checkpoint.ErrMissingTensor)
	require.ErrorContains(t, err, `model.safetensors.index.json places it in "s1.safetensors"`)
}

// TestShardInFolder reads a shard from a folder below the model's, as
// transformers does.
func TestShardInFolder(t *testing.T) {
	dir := newShards(t, map[string]string{"a": "sub//./s.safetensors", "c": "s2.safetensors"})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	writeWeights(t, filepath.Join(dir, "sub", "s.safetensors"), weights{{"d", "dd"}})
	m := open(t, dir)
	require.ElementsMatch(t, []string{"a", "c", "d"}, m.Names())
	require.NoError(t, m.HashAll(t.Context()))
}

func TestBadShards(t *testing.T) {
	outside := t.TempDir()
	writeWeights(t, filepath.Join(outside, "s.safetensors"), weights{{"a", "secret"}})
	cases := []struct {
		name, shard string
		sentinel    error
		text        string
	}{
		{"absent shard", "s3.safetensors", checkpoint.ErrMissingFile, "s3.safetensors"},
		{"parent", "../s.safetensors", checkpoint.ErrCorrupt, "not a file of the model directory"},
		{"dots alone", "..", checkpoint.ErrCorrupt, "not a file of the model directory"},
		{"absolute", filepath.Join(outside, "s.safetensors"), checkpoint.ErrCorrupt, "not a file of the model directory"},
		{"parent of a folder", "sub/../../s.safetensors", checkpoint.ErrCorrupt, "not a file of the model directory"},
		{"absent folder", "sub/s.safetensors", checkpoint.ErrMissingFile, "sub/s.safetensors"},
		{"backslash", `..\s.safetensors`, checkpoint.ErrCorrupt, "not a file of the model directory"},
		{"drive", `C:s.safetensors`, checkpoint.ErrCorrupt, "not a file of the model directory"},
		{"no name", "", checkpoint.ErrCorrupt, "not a file of the model directory"},
		{"link that leads out", "link.safetensors", checkpoint.ErrOutside, "leaves the model's folder"},
		{"a folder", "folder", checkpoint.ErrCorrupt, "not a regular file"},
		{"broken file", "broken.safetensors", safetensors.ErrCorrupt, "broken.safetensors"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := newShards(t, map[string]string{"a": c.shard})
			writeText(t, filepath.Join(dir, "broken.safetensors"), "no such thing")
			require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
			require.NoError(t, os.Symlink(filepath.Join(outside, "s.safetensors"), filepath.Join(dir, "link.safetensors")))
			m, err := checkpoint.Open(dir, checkpoint.Options{})
			require.Nil(t, m)
			require.ErrorIs(t, err, c.sentinel)
			require.ErrorContains(t, err, c.text)
			var typed *checkpoint.Error
			require.ErrorAs(t, err, &typed)
		})
	}
}

func TestBadDirectories(t *testing.T) {
	cases := []struct {
		name     string
		files    map[string]string
		sentinel error
		text     string
	}{
		{"empty", nil, checkpoint.ErrMissingFile, "config.json"},
		{"config only", map[string]string{"config.json": "{}"}, checkpoint.ErrMissingFile, "no model.safetensors.index.json either"},
		{"config broken", map[string]string{"config.json": "{"}, checkpoint.ErrCorrupt, "not valid JSON"},
		{"index broken", map[string]string{"config.json": "{}", "model.safetensors.index.json": "{"}, checkpoint.ErrCorrupt, "not a valid index"},
		{"index empty", map[string]string{"config.json": "{}", "model.safetensors.index.json": "{}"}, checkpoint.ErrCorrupt, "absent or empty"},
		{"index of other types", map[string]string{"config.json": "{}", "model.safetensors.index.json": `{"weight_map":{"a":1}}`}, checkpoint.ErrCorrupt, "not a valid index"},
		{"weights broken", map[string]string{"config.json": "{}", "model.safetensors": "short"}, checkpoint.ErrCorrupt, "5 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				writeText(t, filepath.Join(dir, name), text)
			}
			_, err := checkpoint.Open(dir, checkpoint.Options{})
			require.ErrorIs(t, err, c.sentinel)
			require.ErrorContains(t, err, c.text)
		})
	}
	_, err := checkpoint.Open(filepath.Join(t.TempDir(), "absent"), checkpoint.Options{})
	require.ErrorIs(t, err, checkpoint.ErrMissingFile)
}

// Hugging Face's download cache stores files under their hash and links to
// them, from a revision and from the folders of one, as diffusion pipelines
// have them.
func TestDownloadCacheLayout(t *testing.T) {
	repo := t.TempDir()
	blobs, revision := filepath.Join(repo, "blobs"), filepath.Join(repo, "snapshots", "0123abcd")
	require.NoError(t, os.MkdirAll(blobs, 0o700))
	writeText(t, filepath.Join(blobs, "c"), "{}")
	writeWeights(t, filepath.Join(blobs, "w"), weights{{"a", "aa"}})
	outside := filepath.Join(t.TempDir(), "w")
	writeWeights(t, outside, weights{{"a", "secret"}})
	for sub, up := range map[string]string{"": "../..", "text_encoder": "../../..", "a/b": "../../../.."} {
		dir := filepath.Join(revision, sub)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		require.NoError(t, os.Symlink(up+"/blobs/c", filepath.Join(dir, "config.json")))
		link := filepath.Join(dir, "model.safetensors")
		require.NoError(t, os.Symlink(up+"/blobs/w", link))
		m := open(t, dir)
		a, err := m.Tensor("a")
		require.NoError(t, err)
		assert.Equal(t, "aa", string(a.Data))
		assert.Equal(t, filepath.Base(dir), filepath.Base(m.Dir()))

		for _, to := range []string{outside, up + "/../w"} {
			require.NoError(t, os.Remove(link))
			require.NoError(t, os.Symlink(to, link))
			_, err = checkpoint.Open(dir, checkpoint.Options{})
			require.ErrorIs(t, err, checkpoint.ErrOutside, "a link out of the cached repository is not followed")
			require.NotErrorIs(t, err, checkpoint.ErrCorrupt)
			require.ErrorContains(t, err, "leaves the model's folder")
		}
	}

	// Folders of these names that are not a cached repository widen nothing.
	plain := filepath.Join(t.TempDir(), "snapshots", "rev", "sub")
	require.NoError(t, os.MkdirAll(plain, 0o700))
	writeText(t, filepath.Join(plain, "config.json"), "{}")
	writeWeights(t, filepath.Join(plain, "..", "w"), weights{{"a", "aa"}})
	require.NoError(t, os.Symlink("../w", filepath.Join(plain, "model.safetensors")))
	_, err := checkpoint.Open(plain, checkpoint.Options{})
	require.ErrorIs(t, err, checkpoint.ErrOutside)
}

func TestOpenHuggingFaceGoldens(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "gpt2")
	configs, err := filepath.Glob(filepath.Join(root, "*", "config.json"))
	require.NoError(t, err)
	require.NotEmpty(t, configs)
	for _, config := range configs {
		t.Run(filepath.Base(filepath.Dir(config)), func(t *testing.T) {
			m := open(t, filepath.Dir(config))
			var fields map[string]any
			require.NoError(t, m.Config(&fields))
			assert.Equal(t, "gpt2", fields["model_type"])
			for _, name := range m.Names() {
				x, err := m.Tensor(name)
				require.NoError(t, err)
				assert.NotEmpty(t, x.Data, name)
			}
		})
	}
}
