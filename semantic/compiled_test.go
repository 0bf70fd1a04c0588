package semantic

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport/plan"
)

// TestPredictIsFast bounds the time to predict the kernels of a 48-layer model:
// the first prediction is imperceptible to a caller, and one at other sizes is
// immediate.
func TestPredictIsFast(t *testing.T) {
	g, _ := labelled(t, "gpt2", map[string]int{"layers": 48})
	s, err := Analyze(g)
	require.NoError(t, err)
	best := [2]time.Duration{time.Hour, time.Hour}
	for range 5 {
		s.core().compilations = compilations{}
		for i := range best {
			began := time.Now()
			kernels, err := s.Kernels(plan.Bindings{"batch": 1, "seq": 1, "past": 7 + i})
			require.NoError(t, err)
			require.Greater(t, len(kernels), 48*6)
			best[i] = min(best[i], time.Since(began))
		}
	}
	t.Logf("compiled and priced in %v, priced in %v", best[0], best[1])
	require.Less(t, best[0], 2*time.Second)
	require.Less(t, best[1], best[0])
}
