package cuda

import (
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
)

// launchAttention computes attention of many heads.
func launchAttention(r *run, g *group) error {
	a := &g.of.Attend
	x := kernels.Attention{
		Out: g.out.At, Merge: a.Merge, Q: *g.in[0], K: r.paged(g.of.In[1]), V: r.paged(g.of.In[2]),
		Scale: a.Op.Scale, Divide: a.Divide, Masked: a.Op.Causal, Window: a.Op.Window,
		Softcap: a.Op.Softcap, Scratch: r.scratch(), Counters: r.queue.counters,
	}
	if a.Start >= 0 {
		x.Start = r.tensors[a.Start]
	}
	if a.Mask >= 0 {
		x.Mask = r.tensors[a.Mask]
	}
	return r.d.kernels.Attention(r.st, &x)
}

// paged is an operand of attention in the pages that store it.
func (r *run) paged(v int) kernels.Paged {
	p := kernels.Paged{Tensor: r.tensors[v]}
	if i := r.prog.StateOf(v); i >= 0 {
		p.Table, p.PageRows = r.states[i].table, r.states[i].rows
	}
	return p
}

func attentionScratch(_ *run, g *group) int {
	q, k, v := g.in[0].Shape, g.in[1].Shape, g.in[2].Shape
	last := len(q) - 1
	heads := 1
	for _, d := range q[:last-1] {
		heads *= d
	}
	return kernels.AttentionScratch(heads, q[last-1], k[last-1], v[last])
}
