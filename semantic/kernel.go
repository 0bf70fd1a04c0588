package semantic

import (
	"fmt"
	"maps"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// Kernel is work that an executor does in one launch: an operator, or several
// operators whose intermediate values are never stored.
type Kernel struct {
	// Name lists its operators with the shapes of weights, as profiles name it.
	Name  string
	Class Class
	Cost  Cost // of all operators together; intermediate values are not moved
	// Nodes are the tensors that it computes, by id, in order. They include a
	// tensor that the kernel computes only in part. A tensor that is moved to
	// become carried state is in two kernels.
	Nodes []int

	flops []float64 // by node
	half  bool      // a product with 16-bit weights
}

// Kernels lists the kernels of a run on [ReferenceDevice]; see [SRG.KernelsOn].
func (s *SRG) Kernels(b plan.Bindings) ([]Kernel, error) { return s.KernelsOn(ReferenceDevice(), b) }

// KernelsOn lists, in order, the kernels that a run of the declared outputs
// launches on d, with the symbols bound to b, under the policy that uses the
// whole graph. It compiles the plan as an executor does, so fusion, pruning and
// copies match a real run. Views launch nothing and are in no kernel.
func (s *SRG) KernelsOn(d Device, b plan.Bindings) ([]Kernel, error) {
	kernels, err := s.core().kernelsOn(d, b)
	if err != nil || s.form == nil {
		return kernels, err
	}
	absorbed := s.form.absorbed(s)
	for i := range kernels {
		kernels[i].lift(s.form, absorbed)
	}
	return kernels, nil
}

// absorbed lists, by captured id, the operators that one absorbed.
func (f *normalForm) absorbed(s *SRG) map[int][]int {
	out := map[int][]int{}
	for id, at := range f.into {
		if at >= 0 && !isView(s.Nodes[id].Tensor) && s.Nodes[id].Tensor.Op() != nil {
			out[at] = append(out[at], id)
		}
	}
	return out
}

// lift names the captured tensors of a kernel of the normal form: those whose
// operators it runs, and those that these absorbed.
func (k *Kernel) lift(f *normalForm, absorbed map[int][]int) {
	flops := map[int]float64{}
	for i, id := range k.Nodes {
		at := f.owner[id]
		if at < 0 {
			continue
		}
		flops[at] += k.flops[i]
		for _, x := range absorbed[at] {
			flops[x] += 0
		}
	}
	k.Nodes, k.flops = slices.Sorted(maps.Keys(flops)), nil
	for _, id := range k.Nodes {
		k.flops = append(k.flops, flops[id])
	}
}

// kernelsOn is [SRG.KernelsOn] of a program in normal form.
func (s *SRG) kernelsOn(d Device, b plan.Bindings) ([]Kernel, error) {
	profile, err := s.ProfileOf(b)
	if err != nil {
		return nil, err
	}
	c, err := s.compiledFor(d, profile)
	if err != nil {
		return nil, err
	}
	return c.kernels(b)
}

// kernels prices the groups of a plan at the sizes of b.
func (c *compiled) kernels(b plan.Bindings) ([]Kernel, error) {
	p := c.program.Plan()
	v := pricing{program: c.program, plan: p, sizes: make([][]int, len(p.Values))}
	for i := range p.Values {
		shape, err := p.Values[i].Spec.Shape.Eval(b)
		if err != nil {
			return nil, fmt.Errorf("kernels: value %d of %v: %w", i, p.Values[i].Spec, err)
		}
		v.sizes[i] = shape
	}
	out := make([]Kernel, 0, len(c.program.Groups))
	for i := range c.program.Groups {
		g := &c.program.Groups[i]
		cost := c.program.Cost(i, v.shape)
		k := Kernel{Name: c.program.Labels[i], Class: v.class(g), half: v.half(g), Cost: Cost{FLOPs: cost.FLOPs, BytesRead: cost.Read, BytesWritten: cost.Written}}
		for _, step := range g.Steps {
			if _, view := c.program.Res.Ops[step].(op.Viewer); view && len(g.Steps) > 1 {
				continue
			}
			k.Nodes, k.flops = append(k.Nodes, c.origin[p.Steps[step].Out]), append(k.flops, c.program.FLOPs(step, v.shape))
		}
		out = append(out, k)
	}
	return out, nil
}

// pricing computes the cost of a plan's groups at given sizes.
type pricing struct {
	program *program.Program
	plan    *plan.Plan
	sizes   [][]int // by value
}

// class is the class of a group. Except for an attention pattern it is the
// class of the first step, since the steps after a product or a convolution run
// as its epilogue.
func (v *pricing) class(g *program.Group) Class {
	if g.Kind == program.Attend {
		return ClassAttention
	}
	s := &v.plan.Steps[g.Steps[0]]
	return classOf(v.program.Res.Ops[g.Steps[0]], v.inputs(s), v.sizes[s.Out])
}

// half reports whether a group is a product with 16-bit weights.
func (v *pricing) half(g *program.Group) bool {
	s := &v.plan.Steps[g.Steps[0]]
	if _, product := v.program.Res.Ops[g.Steps[0]].(op.MatMul); !product {
		return false
	}
	w := &v.plan.Values[v.program.Res.Base[s.In[1]]]
	return w.Kind == plan.KindWeight && isHalf(w.Storage)
}

func (v *pricing) inputs(s *plan.Step) [][]int {
	in := make([][]int, len(s.In))
	for i, x := range s.In {
		in[i] = v.sizes[x]
	}
	return in
}

func (v *pricing) shape(x int) []int { return v.sizes[x] }
