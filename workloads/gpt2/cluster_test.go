package gpt2_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/cluster"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
)

// stages places the steps of a plan on members in equal parts, in their order.
func stages(members int) cluster.Option {
	return cluster.WithPlacement(func(p *plan.Plan) []int {
		out := make([]int, len(p.Steps))
		for i := range out {
			out[i] = i * members / len(out)
		}
		return out
	})
}

// TestStages generates on two and three members, each with a stage of the model:
// the tokens and logits are those of one.
func TestStages(t *testing.T) {
	m := load(t, "basic")
	gold := loadGolden(t, goldens+"/basic")
	alone, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer func() { require.NoError(t, alone.Close()) }()
	want, wantLogits := generate(t, alone, m, gold.Prompts[:1], 12)
	for _, kind := range []string{"local", "tcp"} {
		for _, n := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s/%d", kind, n), func(t *testing.T) {
				members := make([]cluster.Member, n)
				for i := range members {
					members[i] = cluster.Member{Name: fmt.Sprint("stage ", i), Executor: stage(t, kind)}
				}
				ex, err := cluster.New(members, stages(n))
				require.NoError(t, err)
				defer func() { require.NoError(t, ex.Close()) }()
				c := genie.NewClient(ex)
				tokens, logits := generate(t, c, m, gold.Prompts[:1], 12)
				require.Equal(t, want, tokens)
				require.Equal(t, wantLogits, logits)
				s, err := c.NewSession(t.Context())
				require.NoError(t, err)
				defer s.Close()
				out, err := genie.Generate(t.Context(), s, m.LM, genie.GenerateRequest{Prompts: gold.Prompts[:1], MaxNew: 12, IgnoreEOS: true})
				require.NoError(t, err)
				require.Equal(t, want, out.Tokens)
				for _, member := range members {
					st, err := member.Executor.Stats(t.Context())
					require.NoError(t, err)
					require.Positive(t, st.Runs, member.Name)
				}
			})
		}
	}
}

func stage(t *testing.T, kind string) transport.Executor {
	t.Helper()
	if kind == "local" {
		ex, err := local.Open(local.WithThreads(1))
		require.NoError(t, err)
		return ex
	}
	ex, err := tcp.Dial(t.Context(), workertest.Start(t, nil).TCP)
	require.NoError(t, err)
	return ex
}
