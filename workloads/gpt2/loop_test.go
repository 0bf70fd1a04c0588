package gpt2_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/measure"
	"github.com/genie-sdk/go/semantic"
)

// TestLoop verifies that a loop on the executor writes what runs one by one do,
// ends where they end, and leaves the session where they leave it.
func TestLoop(t *testing.T) {
	ctx := context.Background()
	m := load(t, "odd")
	gold := loadGolden(t, "../../testdata/gpt2/odd")
	prompt := append([]int{7, 3, 11, 5}, gold.Prompts[0]...)
	stepwise := semantic.Full().(semantic.Features)
	stepwise.Label, stepwise.Loop = "stepwise", false
	plain := func(p [][]int, n int) genie.GenerateRequest {
		return genie.GenerateRequest{Prompts: p, MaxNew: n, IgnoreEOS: true}
	}
	first := func() []int {
		s, err := open(t, "local:", stepwise).NewSession(ctx)
		require.NoError(t, err)
		g, err := genie.Generate(ctx, s, m.LM, plain([][]int{prompt}, 12))
		require.NoError(t, err)
		return g.Tokens[0]
	}()
	requests := map[string]genie.GenerateRequest{
		"one":    plain([][]int{prompt}, 12),
		"two":    plain([][]int{prompt}, 2),
		"ragged": plain([][]int{prompt, prompt[:1], prompt[:len(prompt)/2]}, 9),
		"sampled": {
			Prompts: [][]int{prompt, prompt}, MaxNew: 12, Temperature: 0.9, TopK: 7, Seeds: []int64{1, 2}, IgnoreEOS: true,
		},
		"stop":    {Prompts: [][]int{prompt, prompt[1:]}, MaxNew: 12, Stop: []int{first[4]}},
		"at once": {Prompts: [][]int{prompt}, MaxNew: 12, Stop: []int{first[0]}},
		"context": plain([][]int{prompt, prompt[:2]}, 10000),
	}
	for _, url := range append([]string{"local:"}, remotes(t)...) {
		looped, single := open(t, url, semantic.Full()), open(t, url, stepwise)
		inTurn := open(t, url, measure.InTurn(semantic.Full()))
		for name, r := range requests {
			want, got := write(t, single, m.LM, r), write(t, looped, m.LM, r)
			require.Equal(t, want, got, "%s on %s", name, url)
			require.NotEmpty(t, got.tokens, name)
			require.Equal(t, want, write(t, inTurn, m.LM, r), "%s on %s, prefill and loop in turn", name, url)
		}
		s, err := looped.NewSession(ctx)
		require.NoError(t, err)
		enough := errors.New("enough")
		stopped := requests["one"]
		stopped.OnToken = func(_, token int) error {
			if token == first[3] {
				return enough
			}
			return nil
		}
		_, err = genie.Generate(ctx, s, m.LM, stopped)
		require.ErrorIs(t, err, enough)
		g, err := genie.Generate(ctx, s, m.LM, requests["one"])
		require.NoError(t, err)
		require.Equal(t, first, g.Tokens[0])
	}
}

// written is a generation and the next one of the same session.
type written struct {
	tokens  [][]int
	reasons []genie.FinishReason
	steps   int
	next    []int32
}

func write(t *testing.T, c *genie.Client, lm *genie.CausalLM, r genie.GenerateRequest) written {
	t.Helper()
	ctx := context.Background()
	s, err := c.NewSession(ctx)
	require.NoError(t, err)
	g, err := genie.Generate(ctx, s, lm, r)
	require.NoError(t, err)
	w := written{g.Tokens, g.Reasons, len(g.Steps), nil}
	require.Len(t, g.Executor, len(g.Steps)+1)
	n := len(r.Prompts)
	if slices.Contains(g.Reasons, genie.FinishContext) {
		return w // there is no room for another
	}
	rows := slices.Repeat([]int32{1}, n)
	zeros := make([]float32, n)
	out, err := s.Run(ctx, genie.Feed{
		lm.Tokens.Name(): genie.Int32s(rows, n, 1), lm.Positions.Name(): genie.Int32s(slices.Repeat([]int32{5}, n), n, 1),
		lm.Start.Name():        genie.Int32s(make([]int32, n), n),
		"sampling.temperature": genie.Float32s(zeros, n), "sampling.top_p": genie.Float32s(zeros, n),
		"sampling.top_k": genie.Int32s(make([]int32, n), n), "sampling.seed": genie.Int64s(make([]int64, n), n),
	}, lm.Next)
	require.NoError(t, err)
	w.next, err = out[0].Int32s(ctx)
	require.NoError(t, err)
	return w
}
