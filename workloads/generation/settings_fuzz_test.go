package generation

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/pyjson"
)

// FuzzSettings: for any file, end tokens are in the vocabulary, refusals have
// the right error, and a request that ignores end tokens is not refused because
// of them.
func FuzzSettings(f *testing.F) {
	for _, text := range []string{
		`{"eos_token_id": [1, [2], 99], "do_sample": true, "top_k": 3}`, `{"eos_token_id": "x", "stop_strings": "a"}`,
		`{"repetition_penalty": NaN, "min_length": 1e999, "bad_words_ids": {}}`, `{"temperature": -1, "do_sample": true, "top_p": 2}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := pyjson.Parse(text)
		if err != nil {
			return
		}
		g, never := newSettings("generation_config.json", o, 50)
		for _, id := range g.EOS {
			require.True(t, id >= 0 && id < 50)
		}
		for _, id := range never {
			require.False(t, id >= 0 && id < 50)
		}
		for _, r := range []genie.GenerateRequest{
			{Prompts: [][]int{{1}}}, {Prompts: [][]int{{1, 2}}, IgnoreEOS: true, OwnStops: true}, {Prompts: [][]int{{1}}, Temperature: 1},
		} {
			if err := g.Check(&r); err != nil {
				require.ErrorIs(t, err, ErrSetting)
				require.False(t, r.IgnoreEOS && g.bad != nil && err == g.bad, "an end token that nobody looks for") //nolint:errorlint // that very one
			}
		}
		if err := g.Err(); err != nil {
			require.ErrorIs(t, err, ErrSetting)
		} else if g.Sample {
			require.True(t, g.Temperature > 0 && g.TopK >= 0 && g.TopP >= 0)
		}
	})
}
