package gpt2_test

import (
	"context"
	"testing"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// TestUsed: the loader uses these keys and tensors, and nothing else.
func TestUsed(t *testing.T) {
	familytest.Rule{
		Dir: "../../testdata/gpt2/basic", Layer: "transformer.h.",
		Used: []string{
			"n_layer", "n_head", "n_embd", "n_inner", "n_positions", "num_hidden_layers", "num_attention_heads", "hidden_size", "max_position_embeddings",
			"vocab_size", "layer_norm_epsilon", "activation_function", "tie_word_embeddings", "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
			"reorder_and_upcast_attn",
		},
		Run: func(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
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
	}.Check(t)
}
