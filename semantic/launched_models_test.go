package semantic_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/bert"
	"github.com/genie-sdk/go/workloads/clip"
	"github.com/genie-sdk/go/workloads/easyvqa"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/llm"
	"github.com/genie-sdk/go/workloads/micro"
	"github.com/genie-sdk/go/workloads/resnet"
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

// TestLaunchedOfModels compares the kernels predicted for each model of
// testdata with those that a run launches: a prefill, and a decode step where
// there is a cache.
func TestLaunchedOfModels(t *testing.T) {
	loads := map[string]func(ctx context.Context, dir string) (*lazy.Graph, func() error, error){
		"gpt2": func(ctx context.Context, dir string) (*lazy.Graph, func() error, error) {
			m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{Hashes: "off"})
			if err != nil {
				return nil, nil, err
			}
			return m.LM.Graph, m.Close, nil
		},
		"bert": func(ctx context.Context, dir string) (*lazy.Graph, func() error, error) {
			m, err := bert.Load(ctx, dir, bert.LoadOptions{Hashes: "off"})
			if err != nil {
				return nil, nil, err
			}
			return m.Graph, m.Close, nil
		},
		"resnet": func(ctx context.Context, dir string) (*lazy.Graph, func() error, error) {
			m, err := resnet.Load(ctx, dir, resnet.LoadOptions{Size: 32, Hashes: "off"})
			if err != nil {
				return nil, nil, err
			}
			return m.Graph, m.Close, nil
		},
		"clip": func(ctx context.Context, dir string) (*lazy.Graph, func() error, error) {
			m, err := clip.Load(ctx, dir, clip.LoadOptions{Hashes: "off"})
			if err != nil {
				return nil, nil, err
			}
			return m.Graph, m.Close, nil
		},
		"models": func(ctx context.Context, dir string) (*lazy.Graph, func() error, error) {
			m, err := easyvqa.Load(ctx, dir, easyvqa.LoadOptions{Hashes: "off"})
			if err != nil {
				return nil, nil, err
			}
			return m.Graph, m.Close, nil
		},
	}
	for _, dir := range []string{
		"gpt2/basic", "gpt2/bf16", "gpt2/fp16", "gpt2/gelu", "gpt2/noprefix", "gpt2/odd", "gpt2/scaled", "gpt2/sharded", "gpt2/untied",
		"bert/tiny", "resnet/basic", "resnet/bottleneck", "resnet/early", "clip/legacy", "clip/plain", "clip/quick", "models/easy-vqa",
	} {
		t.Run(dir, func(t *testing.T) {
			g, stop, err := loads[filepath.Dir(dir)](t.Context(), filepath.Join(testdata, dir))
			require.NoError(t, err)
			defer func() { require.NoError(t, stop()) }()
			checkGraph(t, g)
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
