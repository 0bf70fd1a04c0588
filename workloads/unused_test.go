package workloads_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/internal/pyjson"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/workloads/bert"
	"github.com/genie-sdk/go/workloads/clip"
	"github.com/genie-sdk/go/workloads/easyvqa"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/resnet"
)

const testdata = "../testdata"

// family is what the rule below is held for: a checkpoint, the keys of its
// config.json that the computation uses, and the computation.
type family struct {
	base string
	// used are keys that mean something; those of nested objects after a dot.
	used []string
	// layer begins the name of a tensor that is in a layer.
	layer string
	run   func(ctx context.Context, s *genie.Session, dir string) ([]float32, error)
}

// general are keys that every loader looks at.
var general = []string{"model_type", "quantization_config", "compression_config", "per_layer_config"}

var families = map[string]family{
	"gpt2": {
		base: "gpt2/basic", layer: "transformer.h.",
		used: []string{
			"n_layer", "n_head", "n_embd", "n_inner", "n_positions", "num_hidden_layers", "num_attention_heads", "hidden_size", "max_position_embeddings",
			"vocab_size", "layer_norm_epsilon", "activation_function", "tie_word_embeddings", "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
			"reorder_and_upcast_attn",
		},
		run: func(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
			m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
			if err != nil {
				return nil, err
			}
			defer m.Close()
			out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: [][]int{{1, 5, 9}}, MaxNew: 6})
			if err != nil {
				return nil, err
			}
			var tokens []float32
			for _, id := range out.Tokens[0] {
				tokens = append(tokens, float32(id))
			}
			return tokens, nil
		},
	},
	"bert":    {base: "bert/tiny", layer: "encoder.layer.", used: bertKeys, run: runBERT},
	"roberta": {base: "bert/xlm-roberta", layer: "encoder.layer.", used: append([]string{"pad_token_id"}, bertKeys...), run: runBERT},
	"clip": {
		base: "clip/quick", layer: "text_model.encoder.layers.",
		used: append(
			append(nested("text_config", "vocab_size", "max_position_embeddings", "eos_token_id"), nested("vision_config", "num_channels", "image_size", "patch_size")...),
			append(nested("text_config", tower...), append(nested("vision_config", tower...),
				"projection_dim", "text_config", "vision_config", "text_config_dict", "vision_config_dict")...)...),
		run: func(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
			m, err := clip.Load(ctx, dir, clip.LoadOptions{})
			if err != nil {
				return nil, err
			}
			defer m.Close()
			return values(ctx, s, genie.Feed{
				"pixels": genie.Float32s(ramp(3*20*20), 1, 3, 20, 20), "tokens": genie.Int32s([]int32{3, 8, 96}, 1, 3), "mask": genie.Int32s([]int32{1, 1, 1}, 1, 3),
			}, m.LogitsPerImage)
		},
	},
	"resnet": {
		base: "resnet/basic", layer: "resnet.encoder.stages.",
		used: []string{
			"num_channels", "embedding_size", "hidden_sizes", "depths", "layer_type", "hidden_act", "downsample_in_first_stage", "downsample_in_bottleneck",
			"id2label", "num_labels",
		},
		run: func(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
			m, err := resnet.Load(ctx, dir, resnet.LoadOptions{Size: 33})
			if err != nil {
				return nil, err
			}
			defer m.Close()
			return values(ctx, s, genie.Feed{"pixels": genie.Float32s(ramp(3*33*33), 1, 3, 33, 33)}, m.Logits)
		},
	},
	"easy-vqa": {
		base: "models/easy-vqa", layer: "conv.",
		used: []string{"image_size", "channels", "embedding", "features", "vocab", "answers"},
		run: func(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
			m, err := easyvqa.Load(ctx, dir, easyvqa.LoadOptions{})
			if err != nil {
				return nil, err
			}
			defer m.Close()
			n := m.Config.Size
			return values(ctx, s, genie.Feed{
				"pixels": genie.Float32s(ramp(3*n*n), 1, 3, n, n), "image": genie.Int32s([]int32{0}, 1), "words": genie.Int32s([]int32{1, 2, 3}, 1, 3),
			}, m.Logits)
		},
	},
}

var (
	bertKeys = []string{
		"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings", "type_vocab_size",
		"layer_norm_eps", "hidden_act", "position_embedding_type", "is_decoder", "add_cross_attention",
	}
	tower = []string{"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps"}
)

func nested(in string, keys ...string) []string {
	out := make([]string, len(keys))
	for i, key := range keys {
		out[i] = in + "." + key
	}
	return out
}

func runBERT(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
	m, err := bert.Load(ctx, dir, bert.LoadOptions{})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	rows, err := m.Embed(ctx, s, [][]int{{2, 5, 9, 1}})
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

func values(ctx context.Context, s *genie.Session, feed genie.Feed, out *lazy.Tensor) ([]float32, error) {
	got, err := s.Run(ctx, feed, out)
	if err != nil {
		return nil, err
	}
	return got[0].Float32s(ctx)
}

func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%17)/8 - 1
	}
	return x
}

// TestWhatIsNotUsed checks a rule: what the computation does not use cannot
// refuse a model, and changes no bit of its results. It sets every unused key,
// and some unknown ones, to random values, and adds tensors of every type,
// known or not.
func TestWhatIsNotUsed(t *testing.T) {
	ctx := context.Background()
	client, err := genie.Open(ctx, "local:")
	require.NoError(t, err)
	defer client.Close()
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			compute := func(dir string) []float32 {
				s, err := client.NewSession(ctx)
				require.NoError(t, err)
				defer s.Close()
				out, err := f.run(ctx, s, dir)
				require.NoError(t, err)
				return out
			}
			want := compute(filepath.Join(testdata, f.base))
			require.NotEmpty(t, want)
			for seed := range uint64(12) {
				r := &chance{rand.New(rand.NewPCG(seed, 1))}
				dir := t.TempDir()
				r.checkpoint(t, f, dir)
				got := compute(dir)
				require.Equal(t, want, got, "seed %d", seed)
			}
		})
	}
}

// TestWhatIsUsed checks that the lists of used keys are right in the other
// direction: each of them, set to an impossible value, refuses the model by its
// name.
func TestWhatIsUsed(t *testing.T) {
	ctx := context.Background()
	client, err := genie.Open(ctx, "local:")
	require.NoError(t, err)
	defer client.Close()
	s, err := client.NewSession(ctx)
	require.NoError(t, err)
	defer s.Close()
	for name, f := range families {
		for _, key := range append(slices.Clone(general), f.used...) {
			if name == "easy-vqa" && slices.Contains(general, key) && key != "model_type" {
				continue // a network of this project's own
			}
			t.Run(name+" "+key, func(t *testing.T) {
				dir := t.TempDir()
				config := checkpointtest.ReadObject(t, filepath.Join(testdata, f.base, "config.json"))
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
				checkpointtest.ReadTensors(t, filepath.Join(testdata, f.base, "model.safetensors")).Write(t, filepath.Join(dir, "model.safetensors"), nil)
				_, err := f.run(ctx, s, dir)
				require.Error(t, err)
				require.ErrorContains(t, err, key)
				require.ErrorContains(t, err, "config.json")
			})
		}
	}
}

// chance makes things at random.
type chance struct{ *rand.Rand }

// checkpoint writes the family's checkpoint with all changed that is not used.
func (r *chance) checkpoint(t *testing.T, f family, dir string) {
	base := filepath.Join(testdata, f.base)
	config := checkpointtest.ReadObject(t, filepath.Join(base, "config.json"))
	r.spoil(t, config, append(slices.Clone(general), f.used...), "")
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
		name := []string{r.word(), "cls." + r.word(), f.layer + "9." + r.word(), f.layer + "0." + r.word(), "lm_head." + r.word()}[r.IntN(5)]
		tensors[fmt.Sprintf("%s.%d", name, i)] = r.tensor()
	}
	checkpointtest.WriteRaw(t, filepath.Join(dir, "model.safetensors"), tensors, r.IntN(17))
}

// spoil sets keys of an object that are not used.
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

// inner are the used keys of the object under key, nil where that is used whole.
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
