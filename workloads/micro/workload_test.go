package micro_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/micro"
)

const testdata = "../../testdata"

// run runs a workload once on an executor.
func run(t *testing.T, url string, policy semantic.Policy, w workloads.Workload, dir string) *workloads.Run {
	t.Helper()
	ctx := context.Background()
	client, err := genie.Open(ctx, url, genie.WithPolicy(policy))
	require.NoError(t, err)
	defer client.Close()
	p, err := w.Load(ctx, dir)
	require.NoError(t, err)
	defer p.Close()
	r, err := p.Open(ctx, client)
	require.NoError(t, err)
	defer r.Close()
	called := 0
	out, err := r.Run(ctx, workloads.RunOptions{OnFirst: func() { called++ }})
	require.NoError(t, err)
	require.Equal(t, 1, called)
	require.Equal(t, 1, out.Items)
	require.Positive(t, out.First)
	require.Len(t, out.Executor, 1)
	require.Positive(t, out.Executor[0])
	return out
}

// TestTiny verifies every case in-process and on workers, under each policy.
func TestTiny(t *testing.T) {
	worker := workertest.Start(t, nil)
	all, err := micro.All(testdata, workloads.Tiny)
	require.NoError(t, err)
	require.Len(t, all, 5+3*2)
	for _, w := range all {
		t.Run(w.ID().Variant, func(t *testing.T) {
			dir, err := w.Dir(context.Background(), nil)
			require.NoError(t, err)
			var first []float32
			for _, url := range []string{"local:", "tcp://" + worker.TCP, "grpc://" + worker.GRPC} {
				for _, policy := range []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()} {
					out := run(t, url, policy, w, dir)
					_, err = w.Verify(out.Output)
					require.NoError(t, err)
					if first == nil {
						first = out.Tensors["y"]
					}
					require.Equal(t, first, out.Tensors["y"], "%s, %s", url, policy.Name())
				}
			}
		})
	}
}

// TestOperatorsFullSize verifies the operators at the judged size.
func TestOperatorsFullSize(t *testing.T) {
	t.Setenv(workloads.EnvModels, t.TempDir())
	all, err := micro.All(testdata, workloads.Small)
	require.NoError(t, err)
	require.Len(t, all, 5+3*5)
	for _, w := range all[:5] {
		t.Run(w.ID().Variant, func(t *testing.T) {
			dir, err := w.Dir(context.Background(), nil)
			require.NoError(t, err)
			diff, err := w.Verify(run(t, "local:", semantic.Full(), w, dir).Output)
			require.NoError(t, err)
			require.Positive(t, diff, "float32 rounds")
		})
	}
}

// TestAttentionIsRecognised checks that the captured subgraph is what the cost
// model prices as one kernel.
func TestAttentionIsRecognised(t *testing.T) {
	all, err := micro.All(testdata, workloads.Tiny)
	require.NoError(t, err)
	for _, w := range all {
		dir, err := w.Dir(context.Background(), nil)
		require.NoError(t, err)
		p, err := w.Load(context.Background(), dir)
		require.NoError(t, err)
		srg, err := semantic.Analyze(p.Graph())
		require.NoError(t, err)
		kernels, err := srg.Kernels(nil)
		require.NoError(t, err)
		require.Len(t, kernels, 1, w.ID().Variant)
		want := map[string]semantic.Class{
			micro.MatMul: semantic.ClassProduct, micro.Conv: semantic.ClassConv3x3, micro.Attention: semantic.ClassAttention,
			micro.Linear: semantic.ClassProduct, micro.BatchNorm: semantic.ClassNorm, micro.Upload: semantic.ClassNarrow,
			micro.Download: semantic.ClassGather, micro.Echo: semantic.ClassElementwise,
		}
		require.Equal(t, want[w.ID().Model], kernels[0].Class)
		require.NoError(t, p.Close())
	}
}

// TestVerifyNotices corrupts single elements of correct outputs, and weights.
func TestVerifyNotices(t *testing.T) {
	ctx := context.Background()
	all, err := micro.All(testdata, workloads.Tiny)
	require.NoError(t, err)
	for _, w := range all {
		t.Run(w.ID().Variant, func(t *testing.T) {
			dir, err := w.Dir(ctx, nil)
			require.NoError(t, err)
			y := run(t, "local:", semantic.Full(), w, dir).Tensors["y"]
			top := 0.0
			for _, v := range y {
				top = max(top, math.Abs(float64(v)))
			}
			for i := 0; i < len(y); i += max(len(y)/200, 1) {
				old := y[i]
				y[i] += float32(top) / 512
				_, err := w.Verify(workloads.Output{Tensors: map[string][]float32{"y": y}})
				require.ErrorIs(t, err, workloads.ErrMismatch, "element %d", i)
				y[i] = float32(math.NaN())
				_, err = w.Verify(workloads.Output{Tensors: map[string][]float32{"y": y}})
				require.ErrorIs(t, err, workloads.ErrMismatch, "element %d is NaN", i)
				y[i] = old
			}
			_, err = w.Verify(workloads.Output{Tensors: map[string][]float32{"y": y[1:]}})
			require.ErrorIs(t, err, workloads.ErrMismatch)
			_, err = w.Verify(workloads.Output{})
			require.ErrorIs(t, err, workloads.ErrMismatch)

			file := filepath.Join(dir, "model.safetensors")
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			if f, err := safetensors.Open(file); err == nil && len(f.Names()) == 0 {
				require.NoError(t, f.Close())
				return // nothing to change
			}
			broken := t.TempDir()
			conf, err := os.ReadFile(filepath.Join(dir, "config.json"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(broken, "config.json"), conf, 0o600))
			b[len(b)-1] ^= 0x41 // sign and exponent of the last weight
			require.NoError(t, os.WriteFile(filepath.Join(broken, "model.safetensors"), b, 0o600))
			_, err = w.Verify(run(t, "local:", semantic.Full(), w, broken).Output)
			require.ErrorIs(t, err, workloads.ErrMismatch)
		})
	}
}

// TestCheckpointsAgree checks that Go and PyTorch generate the same numbers:
// PyTorch wrote the committed ones.
func TestCheckpointsAgree(t *testing.T) {
	ctx := context.Background()
	all, err := micro.All(testdata, workloads.Tiny)
	require.NoError(t, err)
	for _, w := range all {
		dir, err := w.Dir(ctx, nil)
		require.NoError(t, err)
		theirs, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
		require.NoError(t, err)
		p, err := w.Load(ctx, dir)
		require.NoError(t, err)
		weights := 0
		for _, x := range p.Graph().Tensors() {
			if x.Kind() == lazy.KindWeight {
				weights++
			}
		}
		require.Len(t, theirs.Names(), weights)
		require.NoError(t, p.Close())
		require.NoError(t, theirs.Close())

		made := t.TempDir()
		require.NoError(t, micro.WriteCheckpoint(ctx, w, made))
		ours, err := safetensors.Open(filepath.Join(made, "model.safetensors"))
		require.NoError(t, err)
		theirs, err = safetensors.Open(filepath.Join(dir, "model.safetensors"))
		require.NoError(t, err)
		for _, name := range theirs.Names() {
			x, _ := theirs.Tensor(name)
			y, ok := ours.Tensor(name)
			require.True(t, ok)
			require.Equal(t, x.Shape, y.Shape)
			require.True(t, bytes.Equal(x.Data, y.Data), "%s of %s", name, w.ID().Variant)
		}
		require.NoError(t, ours.Close())
		require.NoError(t, theirs.Close())
		_, err = w.Load(ctx, made)
		require.NoError(t, err)
	}
	_, err = all[0].Load(ctx, filepath.Join(testdata, "micro", all[1].ID().Variant))
	require.ErrorIs(t, err, micro.ErrCase)
}
