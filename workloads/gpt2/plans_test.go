package gpt2_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
)

// TestPlannedOncePerProfile generates with several prompt lengths and batch
// sizes, in several sessions of two clients: the worker gets two plans in all,
// one for each profile, and each weight once.
func TestPlannedOncePerProfile(t *testing.T) {
	m := load(t, "basic")
	gold := loadGolden(t, filepath.Join(goldens, "basic"))
	ctx := context.Background()
	w := workertest.Start(t, nil)
	for _, url := range []string{"tcp://" + w.TCP, "grpc://" + w.GRPC} {
		c := open(t, url, semantic.Full())
		for _, batch := range [][][]int{gold.Prompts[:1], gold.Prompts[1:2], gold.Prompts, gold.Prompts[:2]} {
			s, err := c.NewSession(ctx)
			require.NoError(t, err)
			_, err = genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: batch, MaxNew: 12, IgnoreEOS: true})
			require.NoError(t, err)
			require.NoError(t, s.Close())
		}
	}
	st := w.Engine.Stats()
	require.EqualValues(t, 2, st.PlansSent)
	require.EqualValues(t, 2+12*m.Config.Layers+2, st.WeightsSent)
	require.Zero(t, st.Sessions)
	require.Zero(t, st.StateBytes)
}
