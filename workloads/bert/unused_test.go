package bert_test

import (
	"context"
	"testing"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/workloads/bert"
)

// TestUsed: the loader uses these keys and tensors, and nothing else.
func TestUsed(t *testing.T) {
	keys := []string{
		"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings", "type_vocab_size",
		"layer_norm_eps", "hidden_act", "position_embedding_type", "is_decoder", "add_cross_attention", "is_causal",
	}
	for name, used := range map[string][]string{"tiny": keys, "xlm-roberta": append([]string{"pad_token_id"}, keys...)} {
		t.Run(name, familytest.Rule{
			Dir: "../../testdata/bert/" + name, Layer: "encoder.layer.", Used: used,
			Run: func(ctx context.Context, s *genie.Session, dir string) ([]float32, error) {
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
			},
		}.Check)
	}
}
