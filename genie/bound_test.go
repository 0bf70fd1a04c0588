package genie_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/measure"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
)

// TestSizesAreBoundOnce counts how often sizes are computed from transferred
// bindings: once per run on either side, and not per token of a loop.
func TestSizesAreBoundOnce(t *testing.T) {
	m, w := tiny(t), workertest.Start(t, nil)
	for _, url := range []string{"tcp://" + w.TCP, "grpc://" + w.GRPC} {
		for _, pipelined := range []bool{true, false} {
			c, err := genie.Open(t.Context(), url, genie.WithPolicy(&measure.Policy{Policy: semantic.Full(), InTurn: !pipelined}))
			require.NoError(t, err)
			executor := c.Executor().(interface{ Bound() int64 })
			s := session(t, c)
			client, worker := executor.Bound(), w.Server.Bound()
			bound := func() [2]int64 {
				old := [2]int64{client, worker}
				client, worker = executor.Bound(), w.Server.Bound()
				return [2]int64{client - old[0], worker - old[1]}
			}
			p := &stepper{T: t, s: s}
			var h [2]float32
			for range 5 {
				y := rnn()
				p.step(y, &h)
				require.Equal(t, [2]int64{1, 1}, bound())
				h = [2]float32{}
				require.NoError(t, s.Reset(t.Context()))
				require.Zero(t, bound())
			}
			for _, tokens := range []int{2, 16} {
				r := story()
				r.MaxNew = tokens
				out, err := genie.Generate(t.Context(), s, m.LM, r)
				require.NoError(t, err)
				require.Len(t, out.Tokens[0], tokens)
				require.Equal(t, [2]int64{2, 2}, bound(), "the prompt's run, and the loop")
			}
			require.NoError(t, c.Close())
		}
	}
}
