package familytest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/internal/pyjson"
)

// chance generates random content.
type chance struct{ *rand.Rand }

// checkpoint writes the family's checkpoint with everything unused changed.
func (r *chance) checkpoint(t *testing.T, f Rule, dir string) {
	t.Helper()
	base := f.Dir
	config := checkpointtest.ReadObject(t, filepath.Join(base, "config.json"))
	r.spoil(t, config, append(general(), f.Used...), "")
	checkpointtest.WriteObject(t, filepath.Join(dir, "config.json"), config)
	if _, err := os.Stat(filepath.Join(base, "generation_config.json")); err == nil {
		generation := checkpointtest.ReadObject(t, filepath.Join(base, "generation_config.json"))
		r.spoil(t, generation, []string{"eos_token_id"}, "generation.")
		checkpointtest.WriteObject(t, filepath.Join(dir, "generation_config.json"), generation)
	}
	tensors := checkpointtest.ReadTensors(t, filepath.Join(base, "model.safetensors")).Raw()
	for name, x := range tensors {
		if r.IntN(3) == 0 {
			x.More = map[string]any{"strides": []int{1}, r.word(): nil}
			tensors[name] = x
		}
	}
	for i := range 8 {
		name := []string{r.word(), "cls." + r.word(), f.Layer + "9." + r.word(), f.Layer + "0." + r.word(), "lm_head." + r.word()}[r.IntN(5)]
		tensors[fmt.Sprintf("%s.%d", name, i)] = r.tensor()
	}
	checkpointtest.WriteRaw(t, filepath.Join(dir, "model.safetensors"), tensors, r.IntN(17))
}

// spoil sets unused keys of an object.
func (r *chance) spoil(t *testing.T, o pyjson.Object, used []string, within string) {
	known := []string{
		"transformers_version", "architectures", "dtype", "torch_dtype", "bos_token_id", "pad_token_id", "use_cache", "initializer_range", "attn_pdrop",
		"hidden_dropout_prob", "summary_type", "output_attentions", "return_dict", "label2id", "problem_type", "n_ctx", "head_dim", "rope_scaling",
		"pruned_heads", "chunk_size_feed_forward", "task_specific_params", "gradient_checkpointing", "auto_map", "_name_or_path", "layer_types",
		"logit_scale_init_value", "out_features", "stage_names", "attention_dropout", "eos_token_ids", "temperature", "top_k", "renormalize_logits",
		"N_HEAD", "Hidden_Size", "Vocab_size", "vocab_size ", "num_layers", "Model_Type", "heads",
	}
	for key := range o {
		known = append(known, key)
	}
	for range 5 {
		known = append(known, r.word())
	}
	if within == "" {
		used = append(used, "eos_token_id") // where there is no generation_config.json
	}
	for _, key := range known {
		switch {
		case slices.Contains(used, key):
			if inner := r.inner(used, key); inner != nil {
				object := o.Reader().Object(key)
				r.spoil(t, object, inner, key+".")
				text, err := json.Marshal(object)
				require.NoError(t, err)
				o[key] = text
			}
		case r.IntN(4) > 0:
			o[key] = r.value(0)
		}
	}
}

// inner are the used keys of the object under key, nil if all of it is used.
func (r *chance) inner(used []string, key string) (out []string) {
	for _, u := range used {
		if rest, ok := strings.CutPrefix(u, key+"."); ok {
			out = append(out, rest)
		}
	}
	return out
}

// value is any JSON value, and NaN and the infinities.
func (r *chance) value(depth int) json.RawMessage {
	n := 12
	if depth > 3 {
		n = 10
	}
	switch r.IntN(n) {
	case 10:
		return json.RawMessage(fmt.Sprintf(`{%q:%s,%q:%s}`, r.word(), r.value(depth+1), r.word(), r.value(depth+1)))
	case 11:
		return json.RawMessage(fmt.Sprintf(`[%s,%s]`, r.value(depth+1), r.value(depth+1)))
	default:
		return json.RawMessage([]string{
			`{"__float__":"NaN"}`, `{"__float__":"-Infinity"}`, `null`, `true`, `"gelu"`, `-1`, `3.75`, `123456789012345678901234567890`, `1e999`, `""`,
		}[r.IntN(10)])
	}
}

func (r *chance) word() string {
	b := make([]byte, 1+r.IntN(9))
	for i := range b {
		b[i] = "abcdefgh_ijklmnop"[r.IntN(17)]
	}
	return string(b) + "x"
}

// tensor is one of any type, of types that do not exist, and of no elements.
func (r *chance) tensor() checkpointtest.Raw {
	types := map[string]int{ // bits
		"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
		"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "C64": 64, "F8_E4M3FNUZ": 8, "Q3_K": 24,
	}
	names := []string{}
	for name := range types {
		names = append(names, name)
	}
	slices.Sort(names)
	name := names[r.IntN(len(names))]
	shape := [][]int64{{4}, {2, 4}, {0}, {4, 0, 2}, {8, 1}}[r.IntN(5)]
	elements := 1
	for _, n := range shape {
		elements *= int(n)
	}
	data := make([]byte, elements*types[name]/8)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return checkpointtest.Raw{DType: name, Shape: shape, Data: data}
}
