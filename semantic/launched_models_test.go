package semantic_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
	"github.com/genie-sdk/go/workloads/micro"
	"github.com/genie-sdk/go/workloads/vision"
	"github.com/genie-sdk/go/workloads/vqa"
)

const testdata = "../testdata"

// checkGraph compares the runs of one graph with their prediction.
func checkGraph(t *testing.T, g *lazy.Graph) {
	t.Helper()
	s, err := semantic.Analyze(g)
	require.NoError(t, err)
	require.NoError(t, semantic.CheckLaunches(t, s, func(h plan.Hash) transport.Weight {
		w, err := g.Weight(h)
		require.NoError(t, err)
		return w
	}))
}

// TestLaunchedOfModels holds that the kernels which are predicted for each model in
// the tree are those that a run launches: a prefill and a decode step where there is a
// cache.
func TestLaunchedOfModels(t *testing.T) {
	for _, c := range familytest.Checkpoints(t, "..") {
		t.Run(c.Name, func(t *testing.T) {
			m, err := c.Family.Load(t.Context(), c.Dir, workloads.FamilyOptions{Hashes: "off"})
			require.NoError(t, err)
			defer func() { require.NoError(t, m.Close()) }()
			checkGraph(t, m.Graph)
		})
	}
}

// TestLaunchedOfWorkloads does the same for every workload of the matrix.
func TestLaunchedOfWorkloads(t *testing.T) {
	var all []workloads.Workload
	models, err := llm.All(testdata, workloads.Tiny)
	require.NoError(t, err)
	for _, w := range models {
		all = append(all, w)
	}
	for _, batch := range vision.Batches(workloads.Tiny) {
		w, err := vision.Load(testdata, workloads.Tiny, batch)
		require.NoError(t, err)
		all = append(all, w)
	}
	for _, batch := range vqa.Batches(workloads.Tiny) {
		w, err := vqa.Load(testdata, workloads.Tiny, batch)
		require.NoError(t, err)
		all = append(all, w)
	}
	small, err := micro.All(testdata, workloads.Tiny)
	require.NoError(t, err)
	for _, w := range append(all, small...) {
		t.Run(w.ID().Label(), func(t *testing.T) {
			dir, err := w.Dir(t.Context(), nil)
			require.NoError(t, err)
			p, err := w.Load(t.Context(), dir)
			require.NoError(t, err)
			defer func() { require.NoError(t, p.Close()) }()
			checkGraph(t, p.Graph())
		})
	}
}
