package cuda

import (
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/op"
)

func launchLayerNorm(r *run, g *group) error {
	return r.d.kernels.LayerNorm(r.st, *g.out, *g.in[0], g.parameter(1), g.parameter(2), g.op.(op.LayerNorm).Eps)
}

func launchRMSNorm(r *run, g *group) error {
	return r.d.kernels.RMSNorm(r.st, g.op.(op.RMSNorm), *g.out, *g.in[0], g.parameter(1))
}

// parameter is input i, or none.
func (g *group) parameter(i int) kernels.Tensor {
	if i < len(g.in) {
		return *g.in[i]
	}
	return kernels.Tensor{}
}

func launchRoPE(r *run, g *group) error {
	return r.d.kernels.RoPE(r.st, g.op.(op.RoPE), *g.out, *g.in[0], *g.in[1], *g.in[2])
}

func launchLogSoftmax(r *run, g *group) error {
	return r.d.kernels.LogSoftmax(r.st, *g.out, *g.in[0], g.op.(op.LogSoftmax).Axis)
}

func launchSoftmax(r *run, g *group) error {
	return r.d.kernels.Softmax(r.st, *g.out, *g.in[0], g.op.(op.Softmax).Axis)
}

func launchCausalMask(r *run, g *group) error {
	var start kernels.Tensor
	if len(g.in) == 2 {
		start = *g.in[1]
	}
	return r.d.kernels.CausalMask(r.st, *g.out, *g.in[0], start, g.op.(op.CausalMask).Window)
}

func launchReduce(r *run, g *group) error {
	return r.d.kernels.Reduce(r.st, g.op.(op.Reduce), *g.out, *g.in[0])
}

func launchArgMax(r *run, g *group) error {
	return r.d.kernels.ArgMax(r.st, g.out.At, *g.in[0], g.op.(op.ArgMax).Axis)
}

func launchTopK(r *run, g *group) error {
	return r.d.kernels.TopK(r.st, g.op.(op.TopK), g.out.At, *g.in[0], r.scratch())
}

func topKScratch(_ *run, g *group) int {
	x := g.in[0]
	return kernels.TopKScratch(x.Len()/max(x.Shape[len(x.Shape)-1], 1), g.op.(op.TopK).K)
}

func launchSample(r *run, g *group) error {
	return r.d.kernels.Sample(r.st, &kernels.Sampling{
		Out: g.out.At, Logits: *g.in[0], Temperature: *g.in[1], TopP: *g.in[2], TopK: *g.in[3],
		Seed: *g.in[4], Counter: *g.in[5], Scratch: r.scratch(),
	})
}

func sampleScratch(_ *run, g *group) int {
	return kernels.SampleScratch(g.in[0].Shape[0], g.in[0].Shape[1])
}

func launchBatchNorm(r *run, g *group) error {
	return r.d.kernels.BatchNorm(r.st, *g.out, *g.in[0], *g.in[1], *g.in[2], *g.in[3], *g.in[4], g.op.(op.BatchNorm).Eps)
}

func launchMaxPool(r *run, g *group) error {
	return r.d.kernels.MaxPool(r.st, g.op.(op.MaxPool2D), *g.out, *g.in[0])
}

// launchEmbedding gathers rows of a table, which may be packed for products.
func launchEmbedding(r *run, g *group) error {
	if g.packed {
		transposed := r.code.layouts[g.of.In[0]].kind == columns
		return r.d.kernels.EmbeddingPacked(r.st, *g.out, &g.matrix, transposed, *g.in[1], r.queue.status, g.index)
	}
	return r.d.kernels.Embedding(r.st, *g.out, *g.in[0], *g.in[1], r.queue.status, g.index)
}

func launchPick(r *run, g *group) error {
	return r.d.kernels.Pick(r.st, *g.out, *g.in[0], *g.in[1], r.queue.status, g.index)
}
