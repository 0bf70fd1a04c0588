// Package checkpointtest makes checkpoints with one change each, for tests:
// those of testdata/variants, with transformers' results, and others.
package checkpointtest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/pyjson"
	"github.com/genie-sdk/go/internal/safetensors"
)

// Variant is one of testdata/variants/variants.json, which
// testdata/scripts/make_variant_goldens.py writes and describes.
type Variant struct {
	Name     string             `json:"name"`
	Base     string             `json:"base"`
	Set      string             `json:"set"` // an object, as Python writes it
	Drop     []string           `json:"drop"`
	Tensors  [][]any            `json:"tensors"` // changes
	Files    map[string]*string `json:"files"`
	IDs      []int              `json:"ids"`
	Shape    []int              `json:"shape"`
	Texts    [][]int            `json:"texts"`
	Mask     [][]int            `json:"mask"`
	Generate bool               `json:"generate"` // as the checkpoint's settings say
	Want     struct {
		Tokens  []int     `json:"tokens"`
		Logits  []float32 `json:"logits"`
		Rows    []float32 `json:"rows"`
		Labels  []string  `json:"labels"`
		Missing []string  `json:"missing"` // weights that the checkpoint lacks
		Raises  string    `json:"raises"`
	} `json:"want"`
}

// Variants are those of a family.
func Variants(t *testing.T, testdata, family string) []Variant {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testdata, "variants", "variants.json"))
	require.NoError(t, err)
	var file struct {
		Variants []Variant `json:"variants"`
	}
	require.NoError(t, json.Unmarshal(text, &file))
	out := slices.DeleteFunc(file.Variants, func(v Variant) bool { return !strings.HasPrefix(v.Base, family+"/") })
	require.NotEmpty(t, out)
	return out
}

// Dir writes the variant into a separate folder.
func (v Variant) Dir(t *testing.T, testdata string) string {
	t.Helper()
	base, dir := filepath.Join(testdata, v.Base), t.TempDir()
	config := ReadObject(t, filepath.Join(base, "config.json"))
	for _, key := range v.Drop {
		delete(config, key)
	}
	set, err := pyjson.Parse([]byte(v.Set))
	require.NoError(t, err)
	maps.Copy(config, set)
	WriteObject(t, filepath.Join(dir, "config.json"), config)
	if text, err := os.ReadFile(filepath.Join(base, "generation_config.json")); err == nil {
		write(t, filepath.Join(dir, "generation_config.json"), text)
	}
	for name, text := range v.Files {
		path := filepath.Join(dir, name)
		_ = os.Remove(path)
		if text != nil {
			write(t, path, []byte(*text))
		}
	}
	tensors := ReadTensors(t, filepath.Join(base, "model.safetensors"))
	for _, c := range v.Tensors {
		tensors = tensors.changed(t, c)
	}
	tensors.Write(t, filepath.Join(dir, "model.safetensors"), map[string]string{"format": "pt"})
	return dir
}

// ReadObject reads a JSON file.
func ReadObject(t *testing.T, path string) pyjson.Object {
	t.Helper()
	o, err := pyjson.ReadFile(path, 1<<20)
	require.NoError(t, err)
	return o
}

// WriteObject writes a JSON file with NaN and the infinities as Python writes
// them.
func WriteObject(t *testing.T, path string, o pyjson.Object) {
	t.Helper()
	text, err := json.Marshal(o)
	require.NoError(t, err)
	for _, x := range []string{"NaN", "Infinity", "-Infinity"} {
		text = bytes.ReplaceAll(text, []byte(`{"__float__":"`+x+`"}`), []byte(x))
	}
	write(t, path, text)
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, text, 0o600))
}

// Tensors are the content of a safetensors file.
type Tensors map[string]safetensors.Tensor

// ReadTensors reads a whole file.
func ReadTensors(t *testing.T, path string) Tensors {
	t.Helper()
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	out := Tensors{}
	for _, name := range f.Names() {
		x, ok := f.Tensor(name)
		require.True(t, ok)
		out[name] = safetensors.Tensor{DType: x.DType, Shape: x.Shape, Data: bytes.Clone(x.Data)}
	}
	return out
}

// Write writes a file, wide types first.
func (x Tensors) Write(t *testing.T, path string, metadata map[string]string) {
	t.Helper()
	var entries []safetensors.Entry
	for name, tensor := range x {
		entries = append(entries, safetensors.Entry{Name: name, DType: tensor.DType, Shape: tensor.Shape})
	}
	slices.SortFunc(entries, func(a, b safetensors.Entry) int {
		if a.DType.Size() != b.DType.Size() {
			return int(b.DType.Size() - a.DType.Size())
		}
		return strings.Compare(a.Name, b.Name)
	})
	w, err := safetensors.Create(path, entries, metadata)
	require.NoError(t, err)
	for _, e := range entries {
		require.NoError(t, w.Begin(e.Name))
		_, err := w.Write(x[e.Name].Data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
}

// changed applies one change: ["rename", pattern, to], ["copy", pattern, to,
// factor] or ["drop", pattern], of the tensors whose whole name matches.
func (x Tensors) changed(t *testing.T, change []any) Tensors {
	t.Helper()
	text := func(i int) string {
		s, ok := change[i].(string)
		require.True(t, ok)
		return s
	}
	pattern := regexp.MustCompile("^(?:" + text(1) + ")$")
	to := func(name string) string {
		return pattern.ReplaceAllString(name, regexp.MustCompile(`\\(\d)`).ReplaceAllString(text(2), "$${$1}"))
	}
	out := Tensors{}
	for name, tensor := range x {
		if !pattern.MatchString(name) {
			out[name] = tensor
			continue
		}
		switch text(0) {
		case "rename":
			out[to(name)] = tensor
		case "copy":
			factor, ok := change[3].(float64)
			require.True(t, ok)
			out[name], out[to(name)] = tensor, scaled(tensor, float32(factor))
		case "drop":
		default:
			t.Fatal(change)
		}
	}
	return out
}

// scaled is a float32 tensor times a number.
func scaled(x safetensors.Tensor, factor float32) safetensors.Tensor {
	data := make([]byte, 0, len(x.Data))
	for i := 0; i < len(x.Data); i += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(x.Data[i:]))
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v*factor))
	}
	return safetensors.Tensor{DType: x.DType, Shape: x.Shape, Data: data}
}
