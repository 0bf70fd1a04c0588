package genie_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
)

// TestGenerateIsOneCall verifies that a generation has the session's turn from
// its first token to its last, under every policy: others wait, for as long as
// their contexts last. Close ends it, from its own callback too.
func TestGenerateIsOneCall(t *testing.T) {
	m := tiny(t)
	executors(t, func(t *testing.T, c *genie.Client) {
		s, y := session(t, c), rnn()
		r, tokens := story(), 0
		r.OnToken = func(int, int) error {
			if tokens++; tokens == 4 {
				waitersGo(t, s, y)
			}
			if tokens == 6 {
				require.NoError(t, s.Close())
				require.ErrorIs(t, s.Reset(t.Context()), genie.ErrClosed)
			}
			return nil
		}
		_, err := genie.Generate(t.Context(), s, m.LM, r)
		require.ErrorIs(t, err, genie.ErrClosed)
		require.Less(t, tokens, 2*r.MaxNew)
	})
}
