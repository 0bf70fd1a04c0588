package checkpoint_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/internal/pyjson"
	"github.com/genie-sdk/go/internal/safetensors"
)

// TestResolver finds tensors under the names that transformers 5.24.0 finds
// them under; of several it takes the same.
func TestResolver(t *testing.T) {
	u8 := []safetensors.DType{safetensors.U8}
	for name, c := range map[string]struct {
		have  []string
		want  string // the name that a model has
		found string
	}{
		"plain":                     {[]string{"a.w"}, "bert.a.w", "a.w"},
		"with the inner name":       {[]string{"bert.a.w"}, "bert.a.w", "bert.a.w"},
		"asked without it":          {[]string{"bert.a.w"}, "a.w", "bert.a.w"},
		"both, first in order":      {[]string{"bert.x.w", "x.w"}, "bert.x.w", "bert.x.w"},
		"both, other order":         {[]string{"bert.a.w", "a.w"}, "bert.a.w", "a.w"},
		"gamma":                     {[]string{"bert.LayerNorm.gamma"}, "bert.LayerNorm.weight", "bert.LayerNorm.gamma"},
		"beta without inner name":   {[]string{"x.LayerNorm.beta"}, "bert.x.LayerNorm.bias", "x.LayerNorm.beta"},
		"gamma before weight":       {[]string{"bert.LayerNorm.weight", "bert.LayerNorm.gamma"}, "bert.LayerNorm.weight", "bert.LayerNorm.gamma"},
		"gamma of another norm":     {[]string{"ln.gamma"}, "bert.ln.weight", ""},
		"another inner name":        {[]string{"model.a.w"}, "bert.a.w", ""},
		"part of the name":          {[]string{"bert.a.w2"}, "bert.a.w", ""},
		"numbers are not words":     {[]string{"bert.h.10.w", "h.10.w"}, "bert.h.10.w", "bert.h.10.w"},
		"an inner name on its head": {[]string{"bert.cls.w"}, "cls.w", "bert.cls.w"},
	} {
		t.Run(name, func(t *testing.T) {
			var w weights
			for i, n := range c.have {
				w = append(w, struct{ name, data string }{n, strings.Repeat("x", i+1)})
			}
			m := open(t, newModel(t, w))
			r := m.Resolve("bert.")
			got, ok := r.Find(c.want)
			require.Equal(t, c.found, got)
			require.Equal(t, c.found != "", ok)
			if !ok {
				require.Len(t, r.Unused(), len(c.have))
				_, _, err := r.Need(c.want, u8, []int64{1})
				require.ErrorIs(t, err, checkpoint.ErrMissingTensor)
				return
			}
			require.Empty(t, r.Unused())
		})
	}
}

// TestSharedTensors finds a tensor that was left out of a file because another
// has its memory: safetensors.torch.save_model says so in the metadata.
func TestSharedTensors(t *testing.T) {
	dir := t.TempDir()
	writeText(t, filepath.Join(dir, "config.json"), `{}`)
	x := checkpointtest.Tensors{"kept": {DType: safetensors.U8, Shape: []int64{2}, Data: []byte("xy")}}
	x.Write(t, filepath.Join(dir, "model.safetensors"), map[string]string{"format": "pt", "inner.gone": "kept", "lost": "absent"})
	r := open(t, dir).Resolve("inner.")
	for _, name := range []string{"inner.gone", "gone", "kept"} {
		found, tensor, err := r.Need(name, nil, []int64{2})
		require.NoError(t, err)
		require.Equal(t, "kept", found)
		require.Equal(t, "xy", string(tensor.Data))
	}
	for _, name := range []string{"format", "lost", "absent"} {
		_, _, err := r.Need(name, nil, []int64{2})
		require.ErrorIs(t, err, checkpoint.ErrMissingTensor)
	}
}

// TestWarnUnused warns of what is left of layers, and of nothing else.
func TestWarnUnused(t *testing.T) {
	dir := newModel(t, weights{{"t.h.0.w", "1"}, {"t.h.1.w", "2"}, {"h.10.w", "3"}, {"t.h.0.mask", "4"}, {"head.w", "5"}})
	var said bytes.Buffer
	m, err := checkpoint.Open(dir, checkpoint.Options{Hashes: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&said, nil))})
	require.NoError(t, err)
	defer m.Close()
	layer := func(name string) bool { return strings.HasPrefix(name, "h.") }
	r := m.Resolve("t.")
	r.Find("h.0.w")
	require.Equal(t, []string{"h.0.mask", "h.1.w", "h.10.w", "head.w"}, r.Unused())
	r.WarnUnused(layer, ".mask")
	require.Equal(t, 1, strings.Count(said.String(), "level=WARN"))
	require.Contains(t, said.String(), "tensors=2 first=h.1.w")
	said.Reset()
	r.Find("h.1.w")
	r.Find("h.10.w")
	r.WarnUnused(layer, ".mask")
	require.Empty(t, said.String())
}

func TestCheckType(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "", `{"model_type": "bert"}`: "", `{"model_type": "xlm-roberta"}`: "", `{"model_type": null}`: "",
		`{"model_type": "bert", "architectures": ["SomethingElse"]}`: "",
		`{"architectures": ["BertForMaskedLM"]}`:                     "", `{"architectures": 3}`: "", `{"architectures": []}`: "",
		`{"quantization_config": null, "per_layer_config": {}}`: "", `{"quantization_config": false}`: "",
		`{"model_type": "Bert"}`:                       `model_type is "Bert"`,
		`{"model_type": ["bert"]}`:                     `model_type is ["bert"]`,
		`{"architectures": ["BertGenerationEncoder"]}`: "BertGenerationEncoder",
		`{"architectures": ["AlbertModel"]}`:           "AlbertModel",
		`{"quantization_config": {"bits": 4}}`:         "quantization_config",
		`{"compression_config": {"a": 1}}`:             "compression_config",
		`{"per_layer_config": {"0": {}}}`:              "per_layer_config",
	} {
		o, err := pyjson.Parse([]byte(text))
		require.NoError(t, err)
		err = checkpoint.CheckType(o, "bert", "xlm-roberta")
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorIs(t, err, checkpoint.ErrFamily, text)
		require.ErrorContains(t, err, want)
	}
}

// TestConfigOfPython opens what Python writes and JSON does not have.
func TestConfigOfPython(t *testing.T) {
	dir := newModel(t, weights{{"w", "12"}})
	for text, ok := range map[string]bool{
		`{"a": NaN, "b": [Infinity, -Infinity]}`: true, "\xef\xbb\xbf{}": true, `{"a": "NaN"}`: true, `{"a": nan}`: false, `{`: false,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600))
		m, err := checkpoint.Open(dir, checkpoint.Options{Hashes: t.TempDir()})
		if !ok {
			require.ErrorIs(t, err, checkpoint.ErrCorrupt, text)
			require.ErrorContains(t, err, "config.json")
			continue
		}
		require.NoError(t, err, text)
		require.NoError(t, m.Close())
	}
}

// TestOtherWeightsFile reads the file that transformers_weights of config.json
// names, as transformers does, and refuses one that is not the model's.
func TestOtherWeightsFile(t *testing.T) {
	for name, want := range map[string]string{
		"other.safetensors": "other", "./s.safetensors.index.json": "s1", "absent.safetensors": "absent.safetensors",
		"../other.safetensors": "transformers_weights", "weights.bin": "transformers_weights", "": "transformers_weights",
	} {
		dir := newModel(t, weights{{"plain", "1"}})
		writeText(t, filepath.Join(dir, "config.json"), `{"transformers_weights": "`+name+`"}`)
		writeWeights(t, filepath.Join(dir, "other.safetensors"), weights{{"other", "1"}})
		writeWeights(t, filepath.Join(dir, "s1.safetensors"), weights{{"s1", "1"}})
		writeText(t, filepath.Join(dir, "s.safetensors.index.json"), `{"weight_map": {"s1": "s1.safetensors"}}`)
		m, err := checkpoint.Open(dir, checkpoint.Options{Hashes: t.TempDir()})
		if err != nil {
			require.ErrorContains(t, err, want)
			require.NotContains(t, []string{"other", "s1"}, want)
			continue
		}
		require.Equal(t, []string{want}, m.Names())
		require.NoError(t, m.Close())
	}
}

// TestCheckCausal: in transformers 5.24.0 the key turns the mask of a decoder off, and
// under scaled_dot_product_attention that of an encoder on.
func TestCheckCausal(t *testing.T) {
	for text, want := range map[string][2]bool{ // refused of an encoder, of a decoder
		`{}`: {false, false}, `{"is_causal": true}`: {true, false}, `{"is_causal": false}`: {false, true},
		`{"is_causal": null}`: {false, true}, `{"is_causal": 1}`: {true, false}, `{"Is_Causal": 7}`: {false, false},
	} {
		o, err := pyjson.Parse([]byte(text))
		require.NoError(t, err)
		for i, causal := range []bool{false, true} {
			err := checkpoint.CheckCausal(o, "text_config.", causal)
			require.Equal(t, want[i], err != nil, "%s %t", text, causal)
			if err != nil {
				require.ErrorIs(t, err, checkpoint.ErrFamily)
				require.ErrorContains(t, err, "text_config.is_causal is ")
			}
		}
	}
}
