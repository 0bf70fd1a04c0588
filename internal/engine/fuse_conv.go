package engine

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// convolution is relu(batch_norm(conv(x) + bias) + residual), each part but
// the first if it is there.
type convolution struct {
	geometry op.Conv2D
	image    [2]int // height and width
	filters  int    // value
	bias     int    // value, -1 for none
	norm     int    // step of the batch normalisation, -1 for none
	residual int    // value, -1 for none
	relu     bool
}

// convolution takes the steps after a convolution with it, in the order that
// its kernel applies them.
func (f *fuser) convolution(i int) (group, bool) {
	o, ok := f.res.Ops[i].(op.Conv2D)
	s := &f.p.Steps[i]
	if !ok || !denseFilters(f.res, s) {
		return group{}, false
	}
	g := group{
		steps: []int{i}, kind: convolve, in: s.In[:1], out: s.Out,
		conv: convolution{geometry: o, filters: s.In[1], bias: -1, norm: -1, residual: -1},
	}
	c := &g.conv
	for d := range c.image {
		n, ok := f.p.Values[s.In[0]].Spec.Shape[2+d].Const()
		if !ok {
			return group{}, false // no plan that has passed its checks
		}
		c.image[d] = n
	}
	if !c.possible(f.p.Values[s.In[1]].Spec.Shape) {
		return group{}, false // the reference takes any size
	}
	if len(s.In) == 3 {
		c.bias = s.In[2]
	}
	add := func(next int) { g.steps, g.out = append(g.steps, next), f.p.Steps[next].Out }
	if next, ok := f.next(g.out); ok && f.foldable(next, s.In[1]) {
		c.norm = next
		add(next)
	}
	last := func(v int) bool { return f.res.Layouts[v].IsChannelsLast(f.p.Values[v].Spec.Shape) }
	if next, st, ok := f.stage(g.out, last); ok && st.kind == stageAdd {
		c.residual = st.value
		add(next)
	}
	if next, st, ok := f.stage(g.out, last); ok && st.kind == stageReLU {
		c.relu = true
		add(next)
	}
	return g, true
}

// possible reports whether there are kernels for the convolution with filters of
// this shape, whatever the number of images.
func (c *convolution) possible(filters plan.Shape) bool {
	shape, err := filters.Eval(nil)
	if err != nil { // a number of channels that is not known before it is bound
		return false
	}
	channels, ok := plan.MulChecked(int64(shape[1]), int64(c.geometry.Groups))
	return ok && channels > 0 && c.filterShape(shape).Valid()
}

// folded is the values that are folded into the filters: the bias, if there is
// one, and the parameters of the batch normalisation, if there is one.
func (c *convolution) folded(p *plan.Plan) (values []int) {
	if c.bias >= 0 {
		values = append(values, c.bias)
	}
	if c.norm >= 0 {
		values = append(values, p.Steps[c.norm].In[1:]...)
	}
	return values
}

// packedOnce reports whether filters and all that is folded into them are
// weights, so that they are packed once and not at each run.
func (c *convolution) packedOnce(p *plan.Plan) bool {
	for _, v := range append(c.folded(p), c.filters) {
		if p.Values[v].Kind != plan.KindWeight {
			return false
		}
	}
	return true
}

// foldable reports whether a step is a batch normalisation that can be folded
// into the filters: nobody else reads them, and its parameters lie row-major.
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
