package bert_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/workloads/bert"
)

// TestVariants compares with transformers' results for checkpoints with one
// change; a checkpoint that transformers cannot load, or completes with weights
// of its own, is refused.
func TestVariants(t *testing.T) {
	ctx := context.Background()
	client, err := genie.Open(ctx, "local:")
	require.NoError(t, err)
	defer client.Close()
	for _, v := range checkpointtest.Variants(t, "../../testdata", "bert") {
		t.Run(v.Base+" "+v.Name, func(t *testing.T) {
			s, err := client.NewSession(ctx)
			require.NoError(t, err)
			defer s.Close()
			got, err := rows(ctx, s, v.Dir(t, "../../testdata"), v.IDs)
			if v.Want.Rows == nil || v.Name == "is_decoder=True" { // an encoder that sees what comes before alone
				require.Error(t, err)
				require.Contains(t, err.Error(), "genie: ")
				return
			}
			require.NoError(t, err)
			top := 0.0
			for _, x := range v.Want.Rows {
				top = max(top, math.Abs(float64(x)))
			}
			require.InDeltaSlice(t, v.Want.Rows, got, 1e-5*top)
		})
	}
}

// rows are the last layer's of one text.
func rows(ctx context.Context, s *genie.Session, dir string, ids []int) ([]float32, error) {
	m, err := bert.Load(ctx, dir, bert.LoadOptions{})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	feed, err := m.Feed([][]int{ids})
	if err != nil {
		return nil, err
	}
	out, err := s.Run(ctx, feed, m.Rows)
	if err != nil {
		return nil, err
	}
	return out[0].Float32s(ctx)
}

// TestRelatives verifies that what has BERT's tensors and computes something
// else is refused by its type: by transformers 5.24.0 the vectors differ by up
// to 1.8 times the largest value. See ggml-org/llama.cpp#8658,
// sbryngelson/ANEForge#257.
func TestRelatives(t *testing.T) {
	for _, name := range []string{
		"electra", "distilbert", "albert", "mpnet", "megatron-bert", "bert-generation", "nezha", "ernie", "roberta-prelayernorm",
		"xlm-roberta-xl", "data2vec-text", "layoutlm", "luke", "convbert", "deberta-v2", "modernbert", "xmod", "BERT", "bert ", "",
	} {
		_, err := bert.ParseConfig([]byte(`{"model_type": "` + name + `"}`))
		require.ErrorIs(t, err, bert.ErrConfig)
		require.ErrorContains(t, err, `model_type is "`+name+`"`)
	}
	for _, name := range []string{"ElectraModel", "RobertaPreLayerNormModel", "MegatronBertModel", "BertGenerationEncoder", "XLMRobertaXLModel"} {
		_, err := bert.ParseConfig([]byte(`{"architectures": ["` + name + `"]}`))
		require.ErrorIs(t, err, bert.ErrConfig)
		require.ErrorContains(t, err, name)
	}
	for name, want := range map[string]string{
		"BertModel": "bert", "BertForMaskedLM": "bert", "RobertaForMaskedLM": "roberta", "XLMRobertaModel": "xlm-roberta", "CamembertModel": "camembert",
	} {
		c, err := bert.ParseConfig([]byte(`{"architectures": ["` + name + `"]}`))
		require.NoError(t, err)
		require.Equal(t, want, c.Type)
	}
}

// TestRobertaBatch verifies that a text has in a batch the bits that it has
// alone, also beside longer ones.
func TestRobertaBatch(t *testing.T) {
	ctx := context.Background()
	m := load(t, "../../testdata/bert/xlm-roberta")
	texts := [][]int{{0, 5, 9, 2}, {0, 1, 7, 1, 9, 2, 3, 3}, {4}}
	client, err := genie.Open(ctx, "local:")
	require.NoError(t, err)
	defer client.Close()
	s, err := client.NewSession(ctx)
	require.NoError(t, err)
	defer s.Close()
	together, err := m.Embed(ctx, s, texts)
	require.NoError(t, err)
	for i, text := range texts {
		alone, err := m.Embed(ctx, s, [][]int{text})
		require.NoError(t, err)
		require.Equal(t, alone[0], together[i])
	}
}
