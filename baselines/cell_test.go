package baselines_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
)

func all() []baselines.Baseline {
	return []baselines.Baseline{
		baselines.CaptureOnly(), baselines.LocalRemote(), baselines.NoSemantics(), baselines.Full(), baselines.FullRPC(),
	}
}

// TestCells opens every cell at the tiny scale: outputs verified, work proved
// to have run where it should.
func TestCells(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{llm.Decode, llm.Prefill} {
		w, err := llm.Load(testdata, name, workloads.Tiny)
		require.NoError(t, err)
		for _, base := range all() {
			c, err := baselines.OpenCell(ctx, testdata, w, base)
			require.NoError(t, err, base.Name)
			f, err := c.Run(ctx)
			require.NoError(t, err)
			require.Len(t, f.Steps, len(w.Want)-1)
			require.Equal(t, base.Scheme != "", f.RemoteOps > 0, base.Name)
			require.NoError(t, c.Close())
		}
		g, err := baselines.OpenGorgonia(ctx, testdata, w)
		require.NoError(t, err)
		require.NoError(t, g.Close())
	}
}

// TestCellsNotice changes one weight: every cell must refuse to be timed.
func TestCellsNotice(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "gpt2", "basic")
	require.NoError(t, os.MkdirAll(model, 0o750))
	for _, name := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(testdata, "gpt2", "basic", name))
		require.NoError(t, err)
		if name == "model.safetensors" {
			b[len(b)-1] ^= 0x41 // sign and exponent of the last weight of the file
		}
		require.NoError(t, os.WriteFile(filepath.Join(model, name), b, 0o600))
	}
	ctx := context.Background()
	w, err := llm.Load(testdata, llm.Decode, workloads.Tiny)
	require.NoError(t, err)
	for _, base := range all() {
		c, err := baselines.OpenCell(ctx, dir, w, base)
		if err == nil {
			require.NoError(t, c.Close())
		}
		require.ErrorIs(t, err, workloads.ErrMismatch, base.Name)
	}
	_, err = baselines.OpenGorgonia(ctx, dir, w)
	require.ErrorIs(t, err, workloads.ErrMismatch)
}
