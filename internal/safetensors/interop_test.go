package safetensors

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Files that Hugging Face's own implementation wrote open, and writing them
// again with this package gives the same tensors.
func TestInteropHuggingFace(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "gpt2")
	paths, err := filepath.Glob(filepath.Join(root, "*", "*.safetensors"))
	require.NoError(t, err)
	require.NotEmpty(t, paths, "folder %s has no safetensors file", root)
	for i, path := range paths {
		t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path)+"/"+strconv.Itoa(i), func(t *testing.T) {
			f, err := Open(path)
			require.NoError(t, err)
			defer f.Close()
			require.NotEmpty(t, f.Names())
			copied := rewrite(t, f)
			defer copied.Close()
			for _, name := range f.Names() {
				want, ok := f.Tensor(name)
				require.True(t, ok)
				checkFinite(t, name, want)
				got, ok := copied.Tensor(name)
				require.True(t, ok, name)
				assert.Equal(t, want.DType, got.DType)
				assert.Equal(t, want.Shape, got.Shape)
				assert.Equal(t, string(want.Data), string(got.Data), name)
			}
		})
	}
}

// rewrite writes f's tensors with this package, in their order, and opens the
// result.
func rewrite(t *testing.T, f *File) *File {
	t.Helper()
	var entries []Entry
	for _, name := range f.Names() {
		x, _ := f.Tensor(name)
		entries = append(entries, Entry{name, x.DType, x.Shape})
	}
	path := filepath.Join(t.TempDir(), "copy.safetensors")
	w, err := Create(path, entries, f.Metadata())
	require.NoError(t, err)
	for _, name := range f.Names() {
		x, _ := f.Tensor(name)
		require.NoError(t, w.Begin(name))
		_, err := w.Write(x.Data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	out, err := Open(path)
	require.NoError(t, err)
	return out
}

// checkFinite finds views that point at the wrong bytes: float weights are
// finite and small, the bytes between them are not.
func checkFinite(t *testing.T, name string, x Tensor) {
	t.Helper()
	if x.DType != F32 {
		return
	}
	for i := 0; i < len(x.Data); i += 4 {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(x.Data[i:])))
		require.False(t, math.IsNaN(v) || math.Abs(v) > 1e6, "%s has %v", name, v)
	}
}
