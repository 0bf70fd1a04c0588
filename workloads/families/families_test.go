package families_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/internal/imaging"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/families"
)

// TestTable: names, types and presets distinguish families, and each family's
// declaration is complete.
func TestTable(t *testing.T) {
	types, titles, presets, untyped := map[string]bool{"": true}, map[string]bool{"": true}, map[string]bool{"": true}, 0
	for _, f := range families.All() {
		require.False(t, titles[f.Title], f.Title)
		titles[f.Title] = true
		for _, name := range append([]string{f.Name}, f.Types...) {
			require.False(t, types[name], name)
			types[name] = true
			found, ok := families.Of(name)
			require.True(t, ok, name)
			require.Equal(t, f.Title, found.Title)
		}
		require.NotEmpty(t, f.Sizes, f.Title)
		for _, s := range f.Sizes {
			require.Contains(t, []string{workloads.SizeBatch, workloads.SizeTexts, workloads.SizeSeq, workloads.SizePast}, s.Name)
			require.NotEmpty(t, s.Of)
		}
		require.Contains(t, []imaging.Kind{"", imaging.CLIP, imaging.ConvNext, imaging.ViT}, imaging.Kind(f.ImageProcessor), f.Title)
		if f.Untyped {
			untyped++
		}
		if f.Presets == nil {
			continue
		}
		for _, p := range f.Presets() {
			require.False(t, presets[p.Name], p.Name)
			presets[p.Name] = true
			require.Positive(t, p.Parameters, p.Name)
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, p.Write(ended, p.Name, 1, t.TempDir(), workloads.CheckpointOptions{}), context.Canceled, "%s is known to its own writer", p.Name)
		}
	}
	require.Equal(t, 1, untyped, "one family of a config.json without model_type")
	_, ok := families.Of("no such type")
	require.False(t, ok)
}

// TestCheckpoints loads every checkpoint of the tree by the table alone and
// explains a run of it; sizes that a model does not accept are refused.
func TestCheckpoints(t *testing.T) {
	for _, c := range familytest.Checkpoints(t, filepath.Join("..", "..")) {
		t.Run(c.Name, func(t *testing.T) {
			m, err := c.Family.Load(t.Context(), c.Dir, workloads.FamilyOptions{Hashes: "off"})
			require.NoError(t, err)
			defer func() { require.NoError(t, m.Close()) }()
			sizes := workloads.Sizes{Batch: 2, Texts: 3}
			if c.Family.Takes(workloads.SizePast) {
				sizes.Seq, sizes.Past = 1, 5
			}
			bound, err := m.Bind(sizes)
			require.NoError(t, err)
			srg, err := semantic.Analyze(m.Graph)
			require.NoError(t, err)
			_, err = semantic.Explain(srg, semantic.Full(), bound, m.Outputs...)
			require.NoError(t, err, "the sizes that the family takes bind every symbol")
			require.Equal(t, c.Family.ImageProcessor != "", m.Classifier != nil)
			require.Equal(t, c.Family.Generates, m.Language != nil)
			if m.Classifier != nil {
				require.NotEmpty(t, m.Classifier.Labels)
			}
		})
	}
}

// TestSizes: a model with a limited number of tokens reports the limit.
func TestSizes(t *testing.T) {
	for _, dir := range []string{"gpt2/basic", "bert/tiny", "clip/plain"} {
		dir = filepath.Join("..", "..", "testdata", dir)
		kind, err := families.TypeOf(dir)
		require.NoError(t, err)
		f, ok := families.Of(kind)
		require.True(t, ok)
		m, err := f.Load(t.Context(), dir, workloads.FamilyOptions{Hashes: "off"})
		require.NoError(t, err)
		_, err = m.Bind(workloads.Sizes{Batch: 1, Texts: 1, Seq: 1 << 20})
		require.ErrorIs(t, err, workloads.ErrSizes, dir)
		require.NoError(t, m.Close())
	}
}

// TestTypeOf: config.json is read, and each fault in it has a cause.
func TestTypeOf(t *testing.T) {
	for text, want := range map[string]struct {
		kind string
		is   error
	}{
		`{"model_type": "vit"}`:   {kind: "vit"},
		`{"architectures": []}`:   {},
		`{"model_type": ["gpt"]}`: {is: workloads.ErrJSONType},
		`{`:                       {is: workloads.ErrJSONSyntax},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600))
		kind, err := families.TypeOf(dir)
		require.ErrorIs(t, err, want.is, text)
		require.Equal(t, want.kind, kind)
	}
	_, err := families.TypeOf(filepath.Join(t.TempDir(), "nowhere"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
