package workloads_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/workloads"
)

const bottleneck = "../testdata/resnet/bottleneck"

// copied is a checkpoint that a test may change.
func copied(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(append([]string{t.TempDir()}, parts...)...)
	require.NoError(t, os.MkdirAll(dir, 0o750))
	for _, name := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(bottleneck, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	return dir
}

func open(t *testing.T, dir string) *workloads.Checkpoint {
	t.Helper()
	c, err := workloads.OpenCheckpoint(t.Context(), workloads.ResNet, dir, nil)
	require.NoError(t, err)
	return c
}

// TestOpenCheckpoint: a checkpoint is named after its content; where it is, and
// what is beside it, does not matter.
func TestOpenCheckpoint(t *testing.T) {
	there := open(t, bottleneck)
	require.Equal(t, "bottleneck@"+there.Hash[:12], there.Label())
	require.Len(t, there.Hash, 64)
	require.Equal(t, workloads.Small, there.Scale())
	require.True(t, filepath.IsAbs(there.Dir))

	cached := open(t, copied(t, "models--org--my net", "snapshots", "0123abc"))
	require.Equal(t, "my_net@"+there.Hash[:12], cached.Label(), "Hugging Face's cache")
	require.Equal(t, there.Bytes, cached.Bytes)

	for _, name := range []string{"config.json", "model.safetensors"} {
		dir := copied(t, "changed")
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		if name == "config.json" {
			b = []byte(strings.Replace(string(b), "{", `{"extra": 1,`, 1))
		} else {
			b[len(b)-1] ^= 1
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		require.NotEqual(t, there.Hash, open(t, dir).Hash, name)
	}
}

func TestOpenCheckpointRefuses(t *testing.T) {
	for name, c := range map[string]struct{ family, dir, text string }{
		"family":      {"llama", bottleneck, "llama"},
		"other model": {workloads.GPT2, bottleneck, `of model_type "resnet", not "gpt2"`},
		"no folder":   {workloads.ResNet, filepath.Join(t.TempDir(), "nowhere"), "nowhere"},
	} {
		_, err := workloads.OpenCheckpoint(t.Context(), c.family, c.dir, nil)
		require.ErrorIs(t, err, workloads.ErrCheckpoint, name)
		require.ErrorContains(t, err, c.text, name)
	}
}

// TestReference: a reference is one checkpoint's, whole, and of this version.
func TestReference(t *testing.T) {
	t.Setenv(workloads.EnvReferences, filepath.Join(t.TempDir(), "kept"))
	c := open(t, bottleneck)
	_, err := workloads.ReadReference(c)
	require.ErrorIs(t, err, workloads.ErrNoReference)

	parts := map[string]json.RawMessage{"vision": json.RawMessage(`{"size":7}`)}
	file, err := workloads.WriteReference(c, map[string]string{"torch": "1"}, parts)
	require.NoError(t, err)
	r, err := workloads.ReadReference(c)
	require.NoError(t, err)
	require.Equal(t, parts, r.Parts)
	var part struct{ Size int }
	require.NoError(t, r.Part("vision", &part))
	require.Equal(t, 7, part.Size)
	require.ErrorIs(t, r.Part("vqa", &part), workloads.ErrReference)

	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	for name, c2 := range map[string]struct {
		text string
		is   error
	}{
		"another's":       {strings.Replace(string(whole), c.Hash, strings.Repeat("0", 64), 1), workloads.ErrReference},
		"another family":  {strings.Replace(string(whole), `"resnet"`, `"clip"`, 1), workloads.ErrReference},
		"another version": {strings.Replace(string(whole), `"form":1`, `"form":0`, 1), workloads.ErrNoReference},
		"cut":             {string(whole[:len(whole)/2]), workloads.ErrReference},
	} {
		require.NoError(t, os.WriteFile(file, []byte(c2.text), 0o600))
		_, err := workloads.ReadReference(c)
		require.ErrorIs(t, err, c2.is, name)
	}
}
