package cuda

import (
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
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
	copies := r.scratch() + driver.Ptr(program.Align(ownAttentionScratch(g)))
	for _, t := range [...]*kernels.Tensor{&x.Q, &x.K.Tensor, &x.V.Tensor} {
		if gaps(t) {
			dense := kernels.Tensor{At: copies, DType: plan.F32, Shape: t.Shape, Strides: op.ContiguousStrides(t.Shape)}
			if err := r.d.kernels.Copy(r.st, dense, *t); err != nil {
				return err
			}
			*t, copies = dense, copies+driver.Ptr(program.Align(4*t.Len()))
		}
	}
	return r.d.kernels.Attention(r.st, &x)
}

// gaps reports whether the rows of an operand are not dense: it is copied, since
// the kernels of attention read rows without gaps.
func gaps(t *kernels.Tensor) bool {
	last := len(t.Shape) - 1
	return t.Shape[last] > 1 && t.Strides[last] != 1
}

// paged is an operand of attention in the pages that store it.
func (r *run) paged(v int) kernels.Paged {
	p := kernels.Paged{Tensor: r.tensors[v]}
	if i := r.prog.StateOf(v); i >= 0 {
		p.Table, p.PageRows = r.states[i].table, r.states[i].rows
	}
	return p
}

// attentionScratch is what the kernels and copies of operands need.
func attentionScratch(_ *run, g *group) int {
	n := program.Align(ownAttentionScratch(g))
	for _, t := range g.in {
		if gaps(t) {
			n += program.Align(4 * t.Len())
		}
	}
	return n
}

func ownAttentionScratch(g *group) int {
	q, k, v := g.in[0].Shape, g.in[1].Shape, g.in[2].Shape
	last := len(q) - 1
	heads := 1
	for _, d := range q[:last-1] {
		heads *= d
	}
	return kernels.AttentionScratch(heads, q[last-1], k[last-1], v[last])
}
