package onnx

import (
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// negativeLogLikelihood is NegativeLogLikelihoodLoss: of log probabilities [n, c, ...] and classes
// [n, ...].
func negativeLogLikelihood(c *call) *lazy.Tensor {
	x, target := c.t(0), c.t(1)
	weight := c.opt(2)
	if c.err != nil {
		return nil
	}
	return c.nll(x, target, weight)
}

// nll is the likelihood loss with the attributes of the node.
func (c *call) nll(x, target, weight *lazy.Tensor) *lazy.Tensor {
	s := x.Shape()
	if len(s) < 2 || len(target.Shape()) != len(s)-1 {
		c.failf("%w: classes %v of %v", ErrMalformed, target.Shape(), s)
		return nil
	}
	classes := target.Shape()
	// Elements of the ignored class weigh nothing; what they gather is class 0.
	var counts *lazy.Tensor
	if c.hasAttr("ignore_index") {
		ignored := lazy.Equal(target, c.number(target.DType(), float64(c.attrInt("ignore_index", 0))))
		target = lazy.Where(ignored, c.number(target.DType(), 0), target)
		counts = lazy.Where(ignored, c.num(0), c.num(1))
	}
	if weight != nil {
		w := lazy.Gather(weight, target, 0)
		if counts != nil {
			w = lazy.Mul(w, counts)
		}
		counts = w
	}
	wide := slices.Insert(slices.Clone(classes), 1, plan.C(1))
	loss := lazy.Neg(reshapeTo(lazy.GatherElements(x, reshapeTo(target, wide), 1), classes))
	if counts != nil {
		loss = lazy.Mul(loss, counts)
	}
	switch kind := c.attrString("reduction", "mean"); {
	case kind == "none":
		return loss
	case kind == "sum":
		return lazy.Sum(loss)
	case kind == "mean" && counts == nil:
		return lazy.Mean(loss)
	case kind == "mean":
		return lazy.Div(lazy.Sum(loss), lazy.Sum(counts))
	default:
		c.failf("%w: reduction %.40q", ErrMalformed, kind)
		return nil
	}
}

// softmaxCrossEntropy is SoftmaxCrossEntropyLoss: the loss, and the log probabilities.
func softmaxCrossEntropy(c *call) []*value {
	x, target := c.t(0), c.t(1)
	weight := c.opt(2)
	if c.err != nil {
		return nil
	}
	log := lazy.LogSoftmax(x, 1)
	return []*value{{t: c.nll(log, target, weight)}, {t: log}}
}

// hardmax is one at the first largest element along an axis, and zero elsewhere.
func hardmax(c *call) *lazy.Tensor {
	return c.alongAxis(func(x *lazy.Tensor, axis int) *lazy.Tensor {
		along := make(plan.Shape, len(x.Shape()))
		for i := range along {
			along[i] = plan.C(1)
		}
		along[axis] = x.Dim(axis)
		positions := reshapeTo(c.im.g.Range(plan.I32, 0, 1, x.Dim(axis)), along)
		first := reshapeTo(lazy.ArgMax(x, axis), kept(x.Shape(), []int{axis}))
		return lazy.Cast(lazy.Equal(positions, first), plan.F32)
	})
}

// compress selects positions where a condition holds, which must be known.
func compress(c *call) *lazy.Tensor {
	x := c.t(0)
	e := c.elems(1)
	if c.err != nil {
		return nil
	}
	axis := 0
	if c.hasAttr("axis") {
		axis = c.axis(c.attrInt("axis", 0), len(x.Shape()))
	} else {
		x = reshapeTo(x, plan.Shape{x.Shape().Elements()})
	}
	var index []int32
	for i, s := range e.v {
		n, ok := s.int()
		if !ok {
			c.failf("%w: its condition", ErrDataDependent)
			return nil
		}
		if n != 0 {
			index = append(index, int32(i))
		}
	}
	return c.selected(x, axis, index)
}

// nonZero lists the positions of elements that are not zero, which must be known.
func nonZero(c *call) []*value {
	e := c.elems(0)
	if c.err != nil {
		return nil
	}
	rows := make([][]scalar, len(e.shape))
	for i, s := range e.v {
		f, ok := s.float()
		if !ok {
			c.failf("%w: %v", ErrDataDependent, s.d)
			return nil
		}
		if f == 0 {
			continue
		}
		for axis := len(e.shape) - 1; axis >= 0; axis-- {
			rows[axis] = append(rows[axis], whole(int64(i%e.shape[axis])))
			i /= e.shape[axis]
		}
	}
	out := &elems{dt: modelType(plan.I64), v: slices.Concat(rows...)}
	n := 0
	if len(rows) > 0 {
		n = len(rows[0])
	}
	out.shape = []int{len(rows), n}
	return []*value{{elems: out}}
}

// maxUnpool puts values where the indices of a pool say, in an image of zeros.
func maxUnpool(c *call) *lazy.Tensor {
	x, index := c.t(0), c.t(1)
	if c.err != nil {
		return nil
	}
	s := x.Shape()
	if len(s) < 3 {
		c.failf("%w: of %v", ErrMalformed, s)
		return nil
	}
	g := c.window(nil, s[2:])
	if c.err != nil {
		return nil
	}
	// Indices count in the image that the window's geometry gives, even if the output
	// is a larger one.
	image := slices.Clone(s)
	for i := range g.kernel {
		image[2+i] = s[2+i].Sub(plan.C(1)).Scale(g.stride[i]).Add(plan.C(g.kernel[i] - g.before[i] - g.after[i]))
	}
	out := image
	if c.has(2) {
		out = plan.Shape(c.dims(2))
		if len(out) != len(s) {
			c.failf("%w: an output of %v", ErrMalformed, out)
		}
		if c.err != nil {
			return nil
		}
	}
	zeros := expandTo(c.num(0), plan.Shape{image.Elements()})
	flat := func(t *lazy.Tensor) *lazy.Tensor { return reshapeTo(t, plan.Shape{s.Elements()}) }
	y := reshapeTo(lazy.ScatterElements(zeros, flat(index), flat(x), 0, lazy.CombineNone), image)
	if out.Equal(image) {
		return y
	}
	after := make([]int, len(s))
	for i := range s {
		n, ok := out[i].Sub(image[i]).Const()
		if !ok || n < 0 {
			c.failf("%w: an output of %v for %v", ErrMalformed, out, image)
			return nil
		}
		after[i] = n
	}
	return lazy.Pad(y, make([]int, len(s)), after, 0)
}
