package genie

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
)

// TestProgramsAreForgotten captures a program for each run, as a service may that
// does so for each request: what client and session remember stays bounded.
func TestProgramsAreForgotten(t *testing.T) {
	ctx := t.Context()
	c, err := Open(ctx, "local:")
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	s, err := c.NewSession(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for i := range 2*maxPrograms + 10 {
		g := lazy.NewGraph("request")
		x := g.Input("x", lazy.F32, 2)
		out, err := s.Run(ctx, Feed{"x": Float32s([]float32{float32(i), 1}, 2)}, lazy.Add(x, x))
		require.NoError(t, err)
		got, err := out[0].Float32s(ctx)
		require.NoError(t, err)
		require.Equal(t, []float32{2 * float32(i), 2}, got)
		require.LessOrEqual(t, len(c.graphs), maxPrograms)
		require.LessOrEqual(t, len(s.loops), maxPrograms)
	}
	for range 2 {
		s.forgetPlans()
	}
	require.NotEmpty(t, s.prepared)
}
