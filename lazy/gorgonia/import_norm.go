package gorgonia

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// summed is a sum over axes, which has count terms.
type summed struct {
	of    *lazy.Tensor
	axes  []int
	count plan.Dim
}

func (im *importer) sum(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	x, axes, err := im.reduction(kids, f)
	if err != nil {
		return nil, err
	}
	t := lazy.Sum(x, axes...)
	count := plan.C(1)
	for _, a := range axes {
		count = count.Mul(x.Dim(a))
	}
	im.sums[t] = summed{x, axes, count}
	return t, nil
}

func (im *importer) max(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	x, axes, err := im.reduction(kids, f)
	if err != nil {
		return nil, err
	}
	return lazy.Max(x, axes...), nil
}

// reduction is the operand of a reduction and its axes; none stands for all.
func (im *importer) reduction(kids []*gorgonia.Node, f *fields) (*lazy.Tensor, []int, error) {
	x, axes := im.operand(kids[0]), f.ints("along")
	switch {
	case f.err != nil:
		return nil, nil, f.err
	case x.Err() != nil:
		return nil, nil, x.Err()
	}
	if len(axes) == 0 {
		axes = others(x, nil)
	}
	return x, axes, nil
}

// channelled finds what is wrong with the operand of a normalisation.
func channelled(x *lazy.Tensor, f *fields) error {
	switch {
	case f.err != nil:
		return f.err
	case x.Err() != nil:
		return x.Err()
	case len(x.Shape()) < 2:
		return fmt.Errorf("%w: normalisation of %v, want [n, c, ...]", lazy.ErrShape, x.Shape())
	}
	return nil
}

// softmax has the axis that Gorgonia takes: the last one by default, but the
// first one of a column.
func (im *importer) softmax(n *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	axis, shape := f.int("axis"), n.Shape()
	if axis == -1 && (shape.IsColVec() || shape.IsVector() && !shape.IsRowVec()) {
		axis = 0
	}
	x := im.operand(kids[0])
	if f.bool("isLog") && f.err == nil {
		shifted := lazy.Sub(x, lazy.Keep(lazy.Max, x, axis))
		return lazy.Sub(shifted, lazy.Log(lazy.Keep(lazy.Sum, lazy.Exp(shifted), axis))), nil
	}
	return lazy.Softmax(x, axis), f.err
}

func (im *importer) dropout(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	if f.float("probability") != 0 && f.bool("isTraining") && !im.opts.inference {
		return nil, errRandom
	}
	return im.operand(kids[0]), f.err
}

// normalisation is a batch normalisation with or without its scale and shift,
// which Gorgonia multiplies and adds in nodes of their own.
type normalisation struct {
	x, gamma, beta, mean, variance *lazy.Tensor
	eps                            float64
	scaled, shifted                bool
}

func (im *importer) normalise(m normalisation) *lazy.Tensor {
	t := lazy.BatchNorm(m.x, m.gamma, m.beta, m.mean, m.variance, m.eps)
	im.norms[t] = m
	return t
}

// batchNorm normalises by the running statistics, or in training by those of the
// batch.
func (im *importer) batchNorm(n *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	eps, training := f.float("epsilon"), f.bool("training") && !im.opts.inference
	x := im.operand(kids[0])
	if err := channelled(x, f); err != nil {
		return nil, err
	}
	channels := x.Dim(1)
	m := normalisation{x: x, eps: eps, gamma: im.filled(1, channels), beta: im.filled(0, channels)}
	if training {
		axes := others(x, []int{1})
		m.mean = lazy.Mean(x, axes...)
		along := make([]any, len(x.Shape()))
		for i := range along {
			along[i] = 1
		}
		along[1] = channels
		centred := lazy.Sub(x, lazy.Reshape(m.mean, along...))
		m.variance = lazy.Mean(lazy.Mul(centred, centred), axes...)
		return im.normalise(m), nil
	}
	op, ok := n.Op().(interface {
		Stats() (mean, variance tensor.Tensor)
	})
	if !ok {
		return nil, fmt.Errorf("%w: a batch normalisation without statistics", errLayout)
	}
	var err error
	mean, variance := op.Stats()
	if m.mean, err = im.statistic(n, "mean", mean); err != nil {
		return nil, err
	}
	if m.variance, err = im.statistic(n, "variance", variance); err != nil {
		return nil, err
	}
	return im.normalise(m), nil
}

// statistic is a running mean or variance, as a weight.
func (im *importer) statistic(n *gorgonia.Node, what string, v tensor.Tensor) (*lazy.Tensor, error) {
	data, err := im.read(v)
	if err != nil {
		return nil, err
	}
	d, ok := data.([]float32)
	if !ok {
		return nil, fmt.Errorf("%w: a running %s of %v", lazy.ErrDType, what, v.Dtype())
	}
	return im.g.WeightF32(fmt.Sprintf("running.%s.%d", what, n.ID()), d, len(d)), nil
}

// filled is a vector of one number.
func (im *importer) filled(v float32, n plan.Dim) *lazy.Tensor {
	if c, ok := n.Const(); ok && 4*c <= maxImportedConst {
		data := make([]float32, c)
		for i := range data {
			data[i] = v
		}
		return im.g.Const(data, c)
	}
	return lazy.Expand(lazy.Reshape(im.number(v), 1), n)
}

// groupNorm normalises each group of channels of each example: a layer
// normalisation of rows.
func (im *importer) groupNorm(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	groups, eps, x := f.int("numGroups"), f.float("epsilon"), im.operand(kids[0])
	if err := channelled(x, f); err != nil {
		return nil, err
	}
	if groups < 1 {
		return nil, fmt.Errorf("%w: %d groups", lazy.ErrShape, groups)
	}
	per, ok := x.Shape()[1:].Elements().Div(plan.C(groups))
	if !ok {
		return nil, fmt.Errorf("%w: %d groups of %v channels", lazy.ErrShape, groups, x.Dim(1))
	}
	rows := lazy.Reshape(x, x.Dim(0).Scale(groups), per)
	return lazy.Reshape(lazy.LayerNorm(rows, im.filled(1, per), im.filled(0, per), eps), sizesOf(x.Shape())...), nil
}
