package activation_test

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/lazy"
)

// TestGoldens compares every activation with PyTorch's results
// (testdata/scripts/make_activation_goldens.py).
func TestGoldens(t *testing.T) {
	var golden struct {
		X []float32
		Y map[string][]float32
	}
	text, err := os.ReadFile("testdata/goldens.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &golden))
	require.Equal(t, slices.Sorted(maps.Keys(golden.Y)), activation.Names())
	ctx := context.Background()
	client, err := genie.Open(ctx, "local:")
	require.NoError(t, err)
	defer client.Close()
	for name, want := range golden.Y {
		t.Run(name, func(t *testing.T) {
			f, err := activation.Named(name)
			require.NoError(t, err)
			g := lazy.NewGraph(name)
			y := g.Output("y", f(g.Input("x", lazy.F32, "n")))
			require.NoError(t, g.Err())
			s, err := client.NewSession(ctx)
			require.NoError(t, err)
			defer s.Close()
			out, err := s.Run(ctx, genie.Feed{"x": genie.Float32s(golden.X, len(golden.X))}, y)
			require.NoError(t, err)
			got, err := out[0].Float32s(ctx)
			require.NoError(t, err)
			for i, x := range golden.X {
				require.InDelta(t, want[i], got[i], 2e-6*max(1, math.Abs(float64(want[i]))), "%s(%g)", name, x)
			}
		})
	}
	for _, name := range []string{"", "GELU", "laplace", "prelu", "xielu"} {
		_, err := activation.Named(name)
		require.ErrorIs(t, err, activation.ErrUnknown)
	}
}
