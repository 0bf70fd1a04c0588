package operatortest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
)

// TestProfiled: on every executor the profile of a run names the kernels that
// computed it, and references of operators are counted and timed, also without a
// profile.
func TestProfiled(t *testing.T) {
	for _, tt := range expected {
		worker := workertest.StartEngine(t, engine.Options{Threads: 2}, nil)
		for executor, url := range map[string]string{"local": "local:", "tcp": "tcp://" + worker.TCP, "grpc": "grpc://" + worker.GRPC} {
			t.Run(tt.name+"/"+executor, func(t *testing.T) {
				run := func(opts ...genie.Option) (before, after transport.Stats) {
					c, err := genie.Open(t.Context(), url, opts...)
					require.NoError(t, err)
					defer func() { require.NoError(t, c.Close()) }()
					before, err = c.Stats(t.Context())
					require.NoError(t, err)
					session, err := c.NewSession(t.Context())
					require.NoError(t, err)
					g, outputs := program(tt.name)
					for range 2 {
						_, err = session.Run(t.Context(), genie.Feed{"x": genie.Float32s(ramp(3*side), 3, side)}, outputs...)
						require.NoError(t, err)
					}
					require.NoError(t, g.Err())
					after, err = c.Stats(t.Context())
					require.NoError(t, err)
					return before, after
				}
				slow := int64(0)
				if tt.name == "cube" {
					slow = 2 * 3
				}
				before, after := run()
				require.Empty(t, after.Profiles)
				require.Equal(t, slow, after.References-before.References)
				require.Equal(t, slow > 0, after.ReferenceTime > before.ReferenceTime)

				_, after = run(genie.WithProfile())
				require.Len(t, after.Profiles, 1)
				p := after.Profiles[0]
				require.EqualValues(t, 2, p.Runs)
				names := map[string]int{}
				for _, g := range p.Groups {
					names[g.Name]++
					require.EqualValues(t, 2, g.Count)
					require.Equal(t, g.Name == "cube", g.Reference(), g.Name)
					if strings.HasPrefix(g.Name, "matmul") {
						require.Equal(t, "gemm", g.Kernel)
						require.GreaterOrEqual(t, g.Bytes, int64(2*4*side*side), "the matrix, twice")
					}
				}
				require.Equal(t, tt.kernels, names)
			})
		}
	}
}

// TestProfiledBySize: a plan that runs at sizes with a kernel and at others
// without has an entry for each.
func TestProfiledBySize(t *testing.T) {
	c, err := genie.Open(t.Context(), "local:", genie.WithProfile())
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	session, err := c.NewSession(t.Context())
	require.NoError(t, err)
	g := lazy.NewGraph("by size")
	x, params := g.Input("x", lazy.F32, 2, 3), g.Input("params", lazy.F32, 3, "m")
	// The weights are without gaps only where there is one column of parameters.
	y := g.Output("y", lazy.LayerNorm(x, lazy.Reshape(lazy.SliceN(params, 1, 0, 1), 3), nil, 1e-5))
	for range 3 {
		for _, m := range []int{1, 2} {
			_, err := session.Run(t.Context(), genie.Feed{"x": genie.Float32s(ramp(6), 2, 3), "params": genie.Float32s(ramp(3*m), 3, m)}, y)
			require.NoError(t, err)
		}
	}
	st, err := c.Stats(t.Context())
	require.NoError(t, err)
	require.Len(t, st.Profiles, 1)
	count := map[string]int64{}
	for _, g := range st.Profiles[0].Groups {
		count[g.Kernel] += g.Count
	}
	require.Equal(t, map[string]int64{"layer_norm": 3, "reference": 3}, count)
	require.EqualValues(t, 3, st.References)
}
