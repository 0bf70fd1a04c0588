package genie_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
)

// TestWarnsOfReferences: a session says once, and no later one is spared, that
// references take more than a tenth of a run, which they are and where the program
// has them; where they do not it says nothing.
func TestWarnsOfReferences(t *testing.T) {
	g := lazy.NewGraph("slow")
	x := g.Input("x", lazy.F32, "n", 64)
	w := g.WeightF32("w", make([]float32, 64*64), 64, 64)
	fast := g.Output("fast", lazy.ReLU(lazy.MatMul(x, w)))
	slow := g.Output("slow", lazy.Atan(fast))
	worker := workertest.Start(t, nil)
	for _, url := range []string{"local:", "tcp://" + worker.TCP} {
		var text bytes.Buffer
		c, err := genie.Open(t.Context(), url, genie.WithLogger(slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelWarn}))))
		require.NoError(t, err)
		for session := range 2 {
			s, err := c.NewSession(t.Context())
			require.NoError(t, err)
			run := func(rows int, out *lazy.Tensor) {
				_, err := s.Run(t.Context(), genie.Feed{"x": genie.Float32s(make([]float32, rows*64), rows, 64)}, out)
				require.NoError(t, err)
			}
			run(8, fast)
			require.Equal(t, session, strings.Count(text.String(), "\n"), "nothing is slow yet")
			for rows := range 3 {
				run(8+rows, slow)
			}
			require.Equal(t, session+1, strings.Count(text.String(), "\n"), text.String())
			require.NoError(t, s.Close())
		}
		require.Contains(t, text.String(), "level=WARN")
		require.Contains(t, text.String(), "graph=slow")
		require.Contains(t, text.String(), "atan at genie/slow_test.go:24: ")
		require.NoError(t, c.Close())
	}
}
