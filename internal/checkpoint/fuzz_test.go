package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzOpen opens model directories whose files are the fuzzer's: a config, an
// index of shards, and a file of weights under two names. No file outside the
// directory is read, an error has a cause, and what opens is complete.
func FuzzOpen(f *testing.F) {
	weights := []byte("\x3e\x00\x00\x00\x00\x00\x00\x00" + `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}         ` + "xy")
	f.Add([]byte(`{}`), []byte(`{"weight_map":{"a":"one.safetensors"}}`), weights)
	f.Add([]byte(`{"n":1}`), []byte(`{"weight_map":{"a":"../outside.safetensors"}}`), weights)
	f.Add([]byte(`{}`), []byte(`{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}`), weights)
	f.Add([]byte(`[`), []byte(`{"weight_map":null}`), []byte{})
	f.Fuzz(func(t *testing.T, config, index, weights []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "model")
		require.NoError(t, os.Mkdir(dir, 0o700))
		for path, content := range map[string][]byte{
			filepath.Join(dir, configFile): config, filepath.Join(dir, indexFile): index,
			filepath.Join(dir, "one.safetensors"): weights, filepath.Join(dir, "two.safetensors"): weights,
			filepath.Join(outer, "outside.safetensors"): weights,
		} {
			require.NoError(t, os.WriteFile(path, content, 0o600))
		}
		m, err := Open(dir, Options{Hashes: outer})
		if err != nil {
			known := false
			for _, cause := range []error{ErrMissingTensor, ErrShape, ErrCorrupt, ErrMissingFile} {
				known = known || errors.Is(err, cause)
			}
			require.True(t, known, "%v", err)
			return
		}
		defer func() { require.NoError(t, m.Close()) }()
		require.NotEmpty(t, m.Names())
		for _, name := range m.Files() {
			require.Equal(t, m.Dir(), filepath.Dir(name))
		}
		for _, name := range m.Names() {
			x, err := m.Tensor(name)
			require.NoError(t, err)
			h, err := m.Hash(name)
			require.NoError(t, err)
			require.Equal(t, HashTensor(x), h)
		}
	})
}
