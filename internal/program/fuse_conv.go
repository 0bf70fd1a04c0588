package program

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// convolution adds the steps after a convolution to it, in the order in which
// its kernel applies them.
func (f *fuser) convolution(i int) (Group, bool) {
	o, ok := f.res.Ops[i].(op.Conv2D)
	s := &f.p.Steps[i]
	if !ok || !denseFilters(f.res, s) {
		return Group{}, false
	}
	g := Group{
		Steps: []int{i}, Kind: Convolve, In: s.In[:1], Out: s.Out,
		Conv: Convolution{Geometry: o, Filters: s.In[1], Bias: -1, Norm: -1, Residual: -1},
	}
	c := &g.Conv
	for d := range c.Image {
		if n, ok := f.p.Values[s.In[0]].Spec.Shape[2+d].Const(); ok {
			c.Image[d] = n
		}
	}
	if shape, err := f.p.Values[s.In[1]].Spec.Shape.Eval(nil); err != nil || f.opts.Convolution != nil && !f.opts.Convolution(c, shape) {
		return Group{}, false // the reference accepts any size, and numbers of channels that are unknown before binding
	}
	if len(s.In) == 3 {
		c.Bias = s.In[2]
	}
	add := func(next int) { g.Steps, g.Out = append(g.Steps, next), f.p.Steps[next].Out }
	if next, bias, ok := f.channelBias(g.Out); ok && c.Bias < 0 {
		c.Bias = bias
		add(next)
	}
	if next, ok := f.next(g.Out); ok && f.foldable(next, s.In[1]) {
		c.Norm = next
		add(next)
	}
	last := func(v int) bool { return f.res.Layouts[v].IsChannelsLast(f.p.Values[v].Spec.Shape) }
	if next, st, ok := f.stage(g.Out, last); ok && st.Kind == StageRows && st.Op.Name() == "add" {
		c.Residual = st.Value
		add(next)
	}
	if next, st, ok := f.stage(g.Out, last); ok && st.Op.Name() == "relu" {
		c.ReLU = true
		add(next)
	}
	return g, true
}

// channelBias is the addition of a weight with an element for each channel of v,
// which a kernel adds to its sums as it does a convolution's own bias.
func (f *fuser) channelBias(v int) (step, bias int, ok bool) {
	i := f.reader[v]
	if i < 0 || f.taken[i] || f.opts.Separate {
		return 0, 0, false
	}
	s, shape := &f.p.Steps[i], f.p.Values[v].Spec.Shape
	if f.res.Ops[i].Name() != "add" || !f.sameFloats(v, s.Out) {
		return 0, 0, false
	}
	bias = s.In[1]
	if bias == v {
		bias = s.In[0]
	}
	b := &f.p.Values[bias]
	if b.Kind != plan.KindWeight || b.Spec.DType != plan.F32 || !f.res.Layouts[bias].Dense {
		return 0, 0, false
	}
	// [channels, 1, 1] after any axes of one element.
	at := len(b.Spec.Shape) - 3
	if at < 0 || !b.Spec.Shape[at].Equal(shape[1]) || !b.Spec.Shape.Elements().Equal(shape[1]) {
		return 0, 0, false
	}
	return i, bias, true
}

// foldable reports whether a step is a batch normalisation that can be folded
// into the filters: it is their only reader, and its parameters are row-major.
func (f *fuser) foldable(step, filters int) bool {
	if _, ok := f.res.Ops[step].(op.BatchNorm); !ok || f.reader[filters] < 0 {
		return false
	}
	for _, v := range f.p.Steps[step].In[1:] {
		if !f.res.Layouts[v].Dense {
			return false
		}
	}
	return true
}
