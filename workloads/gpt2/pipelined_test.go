package gpt2_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/measure"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// TestOneRoundTrip counts what a text of 50 tokens waits for in a session that
// has written before: one answer, and none of it for the prefill's own sake or to
// forget the text before.
func TestOneRoundTrip(t *testing.T) {
	const tokens, maxFrame = 50, 64
	ctx := context.Background()
	m := load(t, "basic")
	gold := loadGolden(t, "../../testdata/gpt2/basic")
	for _, url := range remotes(t) {
		for _, pipelined := range []bool{true, false} {
			for _, temperature := range []float32{0, 0.8} {
				t.Run(fmt.Sprintf("%s/pipelined=%v/temperature=%g", url[:4], pipelined, temperature), func(t *testing.T) {
					c := open(t, url, &measure.Policy{Policy: semantic.Full(), InTurn: !pipelined})
					s, err := c.NewSession(ctx)
					require.NoError(t, err)
					r := genie.GenerateRequest{
						Prompts: gold.Prompts[:1], MaxNew: tokens, Temperature: temperature, Seed: 3, IgnoreEOS: true,
					}
					cold, err := genie.Generate(ctx, s, m.LM, r)
					require.NoError(t, err)
					seen := []int(nil)
					firstTrips := int64(-1)
					before := c.Ledger()
					r.OnToken = func(_, token int) error {
						if seen = append(seen, token); firstTrips < 0 {
							firstTrips = c.Ledger().Sub(before).RoundTrips
						}
						return nil
					}
					warm, err := genie.Generate(ctx, s, m.LM, r)
					require.NoError(t, err)
					require.Equal(t, cold.Tokens, warm.Tokens)
					require.Equal(t, warm.Tokens[0], seen)
					require.Len(t, seen, tokens)
					require.Len(t, warm.Steps, tokens-1)
					require.Positive(t, warm.TTFT)
					require.LessOrEqual(t, warm.Wire.Received.Total(), int64(maxFrame*tokens+maxFrame))
					if pipelined {
						require.EqualValues(t, (4+4)*tokens, warm.Wire.Received[plan.CauseToken], "a token and its time")
						require.EqualValues(t, 1, warm.Wire.RoundTrips)
						require.EqualValues(t, 1, firstTrips)
					} else {
						require.EqualValues(t, 3, warm.Wire.RoundTrips) // Reset, prefill, loop
						require.EqualValues(t, 2, firstTrips)
					}
				})
			}
		}
	}
}
