package gpt2_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// refused are the variants that transformers computes and this package refuses
// by name: settings that choose other tokens.
var refused = map[string]bool{
	"repetition_penalty": true, "no_repeat_ngram_size": true, "bad_words_ids": true, "suppress_tokens": true, "begin_suppress_tokens": true,
	"forced_eos_token_id": true, "num_beams": true, "sequence_bias": true, "encoder_repetition_penalty": true,
	"encoder_no_repeat_ngram_size": true, "exponential_decay_length_penalty": true, "guidance_scale": true, "watermarking_config": true,
	"min_length": true, "min_new_tokens": true,
}

// TestVariants compares with transformers' generations for checkpoints with one
// change; a checkpoint that transformers cannot load, or completes with weights
// of its own, is refused.
func TestVariants(t *testing.T) {
	ctx := context.Background()
	client, err := genie.Open(ctx, "local:")
	require.NoError(t, err)
	defer client.Close()
	variants := checkpointtest.Variants(t, "../../testdata", "gpt2")
	written := map[string][]int{}
	for _, v := range variants {
		written[v.Name] = v.Want.Tokens
	}
	for _, v := range variants {
		t.Run(v.Name, func(t *testing.T) {
			s, err := client.NewSession(ctx)
			require.NoError(t, err)
			defer s.Close()
			tokens, logits, err := writeVariant(ctx, s, v.Dir(t, "../../testdata"), v)
			key := v.Name
			for _, where := range []string{"config ", "generation "} {
				if len(key) > len(where) && key[:len(where)] == where {
					key = key[len(where):]
				}
			}
			if refused[key] {
				require.ErrorIs(t, err, gpt2.ErrGeneration)
				require.ErrorContains(t, err, key)
				return
			}
			if same, ok := lenient[v.Name]; ok {
				require.NotEmpty(t, v.Want.Raises)
				require.NoError(t, err)
				require.Equal(t, written[same], tokens)
				return
			}
			if v.Want.Tokens == nil {
				require.Error(t, err)
				require.Contains(t, err.Error(), "genie: ")
				return
			}
			require.NoError(t, err)
			require.Equal(t, v.Want.Tokens, tokens)
			top := 0.0
			for _, x := range v.Want.Logits {
				top = max(top, math.Abs(float64(x)))
			}
			require.InDeltaSlice(t, v.Want.Logits, logits, 1e-5*top)
		})
	}
}

// lenient are variants that transformers raises on, though their meaning is
// plain or nothing depends on what it checks, with others that mean the same.
var lenient = map[string]string{
	"summary_type=None": "use_cache=False", "config output_scores": "config foo",
	"eos config float": "eos config one", "eos config nested": "eos config one", "eos config empty": "eos config null",
	"eos generation empty": "eos generation null",
}

// writeVariant writes 8 tokens and gives the logits after the prompt.
func writeVariant(ctx context.Context, s *genie.Session, dir string, v checkpointtest.Variant) ([]int, []float32, error) {
	m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
	if err != nil {
		return nil, nil, err
	}
	defer m.Close()
	var logits []float32
	r := genie.GenerateRequest{Prompts: [][]int{v.IDs}, MaxNew: 8, IgnoreEOS: !v.Generate, IgnoreSettings: !v.Generate}
	r.OnLogits = func(step int, x transport.Tensor) error {
		if step == 0 {
			all := floatsOf(x.Data)
			logits = all[len(all)-m.Config.Vocab:]
		}
		return nil
	}
	out, err := genie.Generate(ctx, s, m.LM, r)
	if err != nil {
		return nil, nil, err
	}
	return out.Tokens[0], logits, nil
}
