package familytest

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/lazy"
)

// Rule is what a family's loader uses of a checkpoint, and the computation.
type Rule struct {
	// Dir is a checkpoint with its weights in model.safetensors.
	Dir string
	// Used are keys of config.json that have a meaning, those of nested objects
	// after a dot, without those that every loader reads.
	Used []string
	// Own is true of networks of this project, which have no quantised weights.
	Own bool
	// Layer is the beginning of the name of a tensor in a layer.
	Layer string
	// Run computes something from a copy of the checkpoint.
	Run func(ctx context.Context, s *genie.Session, dir string) ([]float32, error)
}

// general are keys that every loader reads.
func general() []string {
	return []string{"model_type", "quantization_config", "compression_config", "per_layer_config"}
}

// all are the keys that the rule's loader reads.
func (r Rule) all() []string {
	if r.Own {
		return append([]string{"model_type"}, r.Used...)
	}
	return append(general(), r.Used...)
}

// Nested are keys of an object in config.json.
func Nested(in string, keys ...string) []string {
	out := make([]string, len(keys))
	for i, key := range keys {
		out[i] = in + "." + key
	}
	return out
}

// Values runs one output.
func Values(ctx context.Context, s *genie.Session, feed genie.Feed, out *lazy.Tensor) ([]float32, error) {
	got, err := s.Run(ctx, feed, out)
	if err != nil {
		return nil, err
	}
	return got[0].Float32s(ctx)
}

// Ramp is n numbers between -1 and 1.
func Ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%17)/8 - 1
	}
	return x
}

// Check checks both directions of the rule.
func (r Rule) Check(t *testing.T) {
	t.Helper()
	t.Run("not used", r.notUsed)
	t.Run("used", r.used)
}

// notUsed checks that what the computation does not use cannot refuse a model, and
// changes no bit of its results. It sets every unused key, and some unknown ones, to
// random values, and adds tensors of every type, known or not.
func (r Rule) notUsed(t *testing.T) {
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer client.Close()
	compute := func(dir string) []float32 {
		s, err := client.NewSession(t.Context())
		require.NoError(t, err)
		defer s.Close()
		out, err := r.Run(t.Context(), s, dir)
		require.NoError(t, err)
		return out
	}
	want := compute(r.Dir)
	require.NotEmpty(t, want)
	for seed := range uint64(12) {
		c := &chance{rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // the same test every time
		dir := t.TempDir()
		c.checkpoint(t, r, dir)
		require.Equal(t, want, compute(dir), "seed %d", seed)
	}
}

// used checks that the list of used keys is right in the other direction: each of
// them, set to an impossible value, refuses the model by its name.
func (r Rule) used(t *testing.T) {
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer client.Close()
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	for _, key := range r.all() {
		t.Run(key, func(t *testing.T) {
			dir := t.TempDir()
			config := checkpointtest.ReadObject(t, filepath.Join(r.Dir, "config.json"))
			bad := json.RawMessage(`[{"no": "such thing"}]`)
			if outer, inner, ok := strings.Cut(key, "."); ok {
				o := config.Reader().Object(outer)
				o[inner] = bad
				text, err := json.Marshal(o)
				require.NoError(t, err)
				config[outer] = text
			} else {
				config[key] = bad
			}
			checkpointtest.WriteObject(t, filepath.Join(dir, "config.json"), config)
			checkpointtest.ReadTensors(t, filepath.Join(r.Dir, "model.safetensors")).Write(t, filepath.Join(dir, "model.safetensors"), nil)
			_, err := r.Run(t.Context(), s, dir)
			require.Error(t, err)
			require.ErrorContains(t, err, key)
			require.ErrorContains(t, err, "config.json")
		})
	}
}
