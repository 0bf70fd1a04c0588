package vision_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/vision"
)

// TestStream holds what the options of a run change: how many batches there
// are and how they are dealt, never a bit.
func TestStream(t *testing.T) {
	worker := workertest.Start(t, nil)
	w, err := vision.Load(testdata, workloads.Tiny, 2)
	require.NoError(t, err)
	dir, err := w.Dir(t.Context(), nil)
	require.NoError(t, err)
	r := open(t, w, dir, "tcp://"+worker.TCP, semantic.Full())
	var first []float32
	for name, c := range map[string]struct {
		o       workloads.RunOptions
		batches int
	}{
		"overlapped": {workloads.RunOptions{}, vision.Stream},
		"serial":     {workloads.RunOptions{Serial: true}, vision.Stream},
		"bounded":    {workloads.RunOptions{MaxBatches: 1}, 1},
		"more":       {workloads.RunOptions{MaxBatches: 99}, vision.Stream},
	} {
		run, err := r.Run(t.Context(), c.o)
		require.NoError(t, err, name)
		require.Equal(t, 2*c.batches, run.Items, name)
		require.Len(t, run.Steps, c.batches-1, name)
		require.Len(t, run.Executor, c.batches, name)
		if first == nil {
			first = run.Tensors[vision.Logits]
		}
		require.Equal(t, first, run.Tensors[vision.Logits], name)
	}
}
