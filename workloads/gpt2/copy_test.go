package gpt2_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// copyModel copies config.json and model.safetensors, the latter changed.
func copyModel(t *testing.T, from string, change func(file []byte)) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		if name == "model.safetensors" {
			change(b)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	return dir
}
