package vision_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/internal/workloadtest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/vision"
)

// TestStream checks what the options of a run change: the number of batches and
// how they are dealt, never a bit.
func TestStream(t *testing.T) {
	worker := workertest.Start(t, nil)
	w, err := vision.Load(workloadtest.Testdata, workloads.Tiny, 2)
	require.NoError(t, err)
	dir, err := w.Dir(t.Context(), nil)
	require.NoError(t, err)
	r := workloadtest.Open(t, w, dir, "tcp://"+worker.TCP, semantic.Full())
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

// BenchmarkStream compares a stream that overlaps transfers and computation
// with sequential batches. An operation is a stream of batches.
func BenchmarkStream(b *testing.B) {
	scale, err := workloads.ScaleFromEnv()
	require.NoError(b, err)
	worker := workertest.Start(b, nil)
	for _, batch := range vision.Batches(scale) {
		w, err := vision.Load(workloadtest.Testdata, scale, batch)
		require.NoError(b, err)
		dir, err := w.Dir(b.Context(), nil)
		require.NoError(b, err)
		for _, executor := range [][2]string{{"local", "local:"}, {"tcp", "tcp://" + worker.TCP}} {
			r := workloadtest.Open(b, w, dir, executor[1], semantic.Full())
			for _, mode := range []struct {
				name string
				workloads.RunOptions
			}{{"overlapped", workloads.RunOptions{}}, {"serial", workloads.RunOptions{Serial: true}}} {
				name := benchname.Of("vision-stream", mode.name, "executor="+executor[0], fmt.Sprintf("batch=%d", batch), "model="+w.ID().Model)
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						if _, err := r.Run(b.Context(), mode.RunOptions); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
