package gorgonia

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// unaryNames are Gorgonia's elementwise operators of one operand by their
// number, which a test holds.
var unaryNames = [...]string{
	"abs", "sign", "ceil", "floor", "sin", "cos", "exp", "log", "log2", "neg", "square", "sqrt",
	"inverse", "inverse sqrt", "cube", "tanh", "sigmoid", "log1p", "expm1", "softplus",
}

func (im *importer) unary(n *gorgonia.Node, kids []*gorgonia.Node, _ *fields) (*lazy.Tensor, error) {
	kind, err := unaryKind(n.Op())
	if err != nil {
		return nil, err
	}
	x := im.operand(kids[0])
	switch unaryNames[kind] {
	case "abs":
		return lazy.Add(lazy.ReLU(x), lazy.ReLU(im.neg(x))), nil
	case "sign":
		return lazy.Sub(im.greater(x, im.number(0)), im.greater(im.number(0), x)), nil
	case "ceil":
		return im.neg(im.floor(im.neg(x))), nil
	case "floor":
		return im.floor(x), nil
	case "exp":
		return lazy.Exp(x), nil
	case "neg":
		return im.neg(x), nil
	case "square":
		return lazy.Mul(x, x), nil
	case "sqrt":
		return lazy.Sqrt(x), nil
	case "inverse":
		return lazy.Div(im.number(1), x), nil
	case "inverse sqrt":
		return lazy.Div(im.number(1), lazy.Sqrt(x)), nil
	case "cube":
		return lazy.Mul(lazy.Mul(x, x), x), nil
	case "tanh":
		return lazy.Tanh(x), nil
	case "sigmoid": // (tanh(x/2)+1)/2: no overflow, and within 1e-7 everywhere
		half := im.number(0.5)
		return lazy.Add(lazy.Mul(lazy.Tanh(lazy.Mul(x, half)), half), half), nil
	case "expm1": // tanh(x/2)*(exp(x)+1): no cancellation near zero
		return lazy.Mul(lazy.Tanh(lazy.Mul(x, im.number(0.5))), lazy.Add(lazy.Exp(x), im.number(1))), nil
	}
	return nil, errNoCounterpart
}

func (im *importer) neg(x *lazy.Tensor) *lazy.Tensor { return lazy.Mul(x, im.number(-1)) }

// floor truncates and corrects below zero. From 2^23 on every float32 is whole,
// and NaN is not below it.
func (im *importer) floor(x *lazy.Tensor) *lazy.Tensor {
	whole := lazy.Cast(lazy.Cast(x, lazy.I32), lazy.F32)
	size := lazy.Add(lazy.ReLU(x), lazy.ReLU(im.neg(x)))
	small := lazy.Cast(im.greater(im.number(1<<23), size), lazy.Bool)
	return lazy.Where(small, lazy.Sub(whole, im.greater(whole, x)), x)
}

// greater is 1 where a > b and 0 elsewhere. The difference of two float32 is
// zero only if they are equal; it is NaN for a NaN and for two infinities of one
// sign, neither of which is greater.
func (im *importer) greater(a, b *lazy.Tensor) *lazy.Tensor {
	d := lazy.Sub(a, b)
	over := lazy.Where(lazy.Equal(d, d), lazy.ReLU(d), im.number(0))
	return lazy.Cast(lazy.Cast(over, lazy.Bool), lazy.F32)
}

// compare is 1 where the comparison holds and 0 elsewhere.
func (im *importer) compare(kind string, a, b *lazy.Tensor) *lazy.Tensor {
	switch kind {
	case "lt":
		return im.greater(b, a)
	case "gt":
		return im.greater(a, b)
	case "lte":
		return lazy.Where(lazy.Equal(a, b), im.number(1), im.greater(b, a))
	case "gte":
		return lazy.Where(lazy.Equal(a, b), im.number(1), im.greater(a, b))
	case "eq":
		return lazy.Cast(lazy.Equal(a, b), lazy.F32)
	}
	return lazy.Where(lazy.Equal(a, b), im.number(0), im.number(1))
}

func (im *importer) minBetween(_ *gorgonia.Node, kids []*gorgonia.Node, _ *fields) (*lazy.Tensor, error) {
	a, b := im.operand(kids[0]), im.operand(kids[1])
	return lazy.Where(lazy.Cast(im.greater(b, a), lazy.Bool), a, b), nil
}

func (im *importer) maxBetween(_ *gorgonia.Node, kids []*gorgonia.Node, _ *fields) (*lazy.Tensor, error) {
	a, b := im.operand(kids[0]), im.operand(kids[1])
	return lazy.Where(lazy.Cast(im.greater(a, b), lazy.Bool), a, b), nil
}

// binaryNames are Gorgonia's elementwise operators of two operands by their
// number, which a test holds.
var binaryNames = [...]string{"add", "sub", "mul", "div", "pow", "lt", "gt", "lte", "gte", "eq", "ne"}

func (im *importer) binary(n *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	number, same := f.within(binaryField).byte(binaryTypeField), f.bool("retSame")
	if f.err != nil {
		return nil, f.err
	}
	if number >= len(binaryNames) {
		return nil, fmt.Errorf("%w: elementwise operator %d", errLayout, number)
	}
	kind := binaryNames[number]
	if t, ok, err := im.sized(kind, n, kids); ok {
		return t, err
	}
	if t := im.rectified(kind, kids); t != nil {
		return t, nil
	}
	a, b := im.unrepeated(im.operand(kids[0]), im.operand(kids[1]))
	switch kind {
	case "add":
		return im.add(a, b), nil
	case "sub":
		return lazy.Sub(a, b), nil
	case "mul":
		return im.mul(a, b), nil
	case "div":
		return lazy.Div(a, b), nil
	case "pow":
		return im.pow(a, kids[1])
	}
	t := im.compare(kind, a, b)
	if !same {
		t = lazy.Cast(t, lazy.Bool)
	}
	return t, nil
}

// sized captures arithmetic with sizes: a product of two is one, which has no
// tensor yet, and a sum divided by the number of its elements is a mean.
func (im *importer) sized(kind string, n *gorgonia.Node, kids []*gorgonia.Node) (t *lazy.Tensor, ok bool, err error) {
	b, ok := im.counts[kids[1]]
	if !ok {
		return nil, false, nil
	}
	if a, ok := im.counts[kids[0]]; ok && kind == "mul" {
		im.counts[n] = a.Mul(b)
		return nil, true, errIsSize
	}
	s, ok := im.sums[im.tensors[kids[0]]]
	if kind != "div" || !ok || !s.count.Equal(b) {
		return nil, false, nil
	}
	return lazy.Mean(s.of, s.axes...), true, nil
}

// rectified captures x times (x > 0), Gorgonia's spelling of rectifiers, which
// is NaN for an infinity where the rectifier is not.
func (im *importer) rectified(kind string, kids []*gorgonia.Node) *lazy.Tensor {
	if kind != "mul" {
		return nil
	}
	for i, mask := range kids {
		x := kids[1-i]
		switch compared := comparedWithZero(mask, x); compared {
		case "gt", "gte":
			return lazy.ReLU(im.operand(x))
		case "lt", "lte":
			return im.neg(lazy.ReLU(im.neg(im.operand(x))))
		}
	}
	return nil
}

// comparedWithZero is the comparison that mask makes of x with the constant 0,
// as numbers; empty if it is something else.
func comparedWithZero(mask, x *gorgonia.Node) string {
	if mask.Op() == nil {
		return ""
	}
	if name, err := stockName(mask.Op()); err != nil || name != "elemBinOp" {
		return ""
	}
	kids, err := children(mask)
	f := attributes(mask.Op())
	same, kind := f.bool("retSame"), f.within(binaryField).byte(binaryTypeField)
	if err != nil || f.err != nil || !same || kind >= len(binaryNames) || len(kids) != 2 || kids[0] != x {
		return ""
	}
	if v, ok := scalarConstant(kids[1]); !ok || v != 0 {
		return ""
	}
	return binaryNames[kind]
}

// scalarConstant is the number that a constant node holds.
func scalarConstant(n *gorgonia.Node) (float64, bool) {
	if n.Op() == nil || n.Value() == nil {
		return 0, false
	}
	if name, err := stockName(n.Op()); err != nil || name != "constantScalar" {
		return 0, false
	}
	switch v := n.Value().Data().(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func (im *importer) pow(x *lazy.Tensor, exponent *gorgonia.Node) (*lazy.Tensor, error) {
	p, ok := scalarConstant(exponent)
	if !ok {
		return nil, fmt.Errorf("%w: a power with an exponent that is no constant number", errNoCounterpart)
	}
	switch p {
	case 1:
		return x, nil
	case 2:
		return lazy.Mul(x, x), nil
	case 3:
		return lazy.Mul(lazy.Mul(x, x), x), nil
	case 4:
		square := lazy.Mul(x, x)
		return lazy.Mul(square, square), nil
	case 0.5:
		return lazy.Sqrt(x), nil
	case -0.5:
		return lazy.Div(im.number(1), lazy.Sqrt(x)), nil
	case -1:
		return lazy.Div(im.number(1), x), nil
	case -2:
		return lazy.Div(im.number(1), lazy.Mul(x, x)), nil
	}
	return nil, fmt.Errorf("%w: the power %g", errNoCounterpart, p)
}

// unrepeated are the operands of an elementwise operator. Gorgonia repeats the
// smaller one in memory; here operators broadcast, so what was repeated takes its
// place.
func (im *importer) unrepeated(a, b *lazy.Tensor) (*lazy.Tensor, *lazy.Tensor) {
	if a.Err() != nil || b.Err() != nil {
		return a, b
	}
	whole := a.Shape()
	if len(whole) == 0 {
		whole = b.Shape()
	}
	sa, sb := im.small[a], im.small[b]
	switch {
	case sa != nil && sb != nil && broadcasts(sa.Shape(), sb.Shape(), whole):
		return sa, sb
	case sb != nil && broadcasts(a.Shape(), sb.Shape(), whole):
		return a, sb
	case sa != nil && broadcasts(sa.Shape(), b.Shape(), whole):
		return sa, b
	}
	return a, b
}

// broadcasts reports whether a and b, of one rank, broadcast to whole.
func broadcasts(a, b, whole plan.Shape) bool {
	if len(a) != len(whole) || len(b) != len(whole) {
		return false
	}
	for i, d := range whole {
		wholeA, wholeB := a[i].Equal(d), b[i].Equal(d)
		if !wholeA && !wholeB || !wholeA && !a[i].Is(1) || !wholeB && !b[i].Is(1) {
			return false
		}
	}
	return true
}

// add is a sum. A vector along the last axis is a bias, and one along the
// channels is that of a convolution or of a normalisation.
func (im *importer) add(a, b *lazy.Tensor) *lazy.Tensor {
	if v := vectorAlong(a, b, -1); v != nil {
		return lazy.Bias(a, v)
	}
	if v := vectorAlong(b, a, -1); v != nil {
		return lazy.Bias(b, v)
	}
	for _, o := range [][2]*lazy.Tensor{{a, b}, {b, a}} {
		v := vectorAlong(o[0], o[1], 1)
		if v == nil {
			continue
		}
		if c, ok := im.convs[o[0]]; ok {
			return lazy.Conv2D(c.x, c.w, v, c.conv)
		}
		if m, ok := im.norms[o[0]]; ok && !m.shifted {
			m.beta, m.shifted = v, true
			return im.normalise(m)
		}
	}
	return lazy.Add(a, b)
}

// mul is a product. A vector along the channels is the scale of a normalisation.
func (im *importer) mul(a, b *lazy.Tensor) *lazy.Tensor {
	for _, o := range [][2]*lazy.Tensor{{a, b}, {b, a}} {
		if m, ok := im.norms[o[0]]; ok && !m.scaled && !m.shifted {
			if v := vectorAlong(o[0], o[1], 1); v != nil {
				m.gamma, m.scaled = v, true
				return im.normalise(m)
			}
		}
	}
	if len(b.Shape()) > 0 && len(a.Shape()) == 0 {
		a, b = b, a
	}
	return lazy.Mul(a, b)
}

// vectorAlong is v as a vector, if it has the size of x along an axis and size
// one along the others. Nil if not.
func vectorAlong(x, v *lazy.Tensor, axis int) *lazy.Tensor {
	sx, sv := x.Shape(), v.Shape()
	if axis < 0 {
		axis += len(sx)
	}
	if axis < 0 || axis >= len(sx) || len(sx) != len(sv) || len(sx) < 2 || !sx[axis].Equal(sv[axis]) {
		return nil
	}
	for i, d := range sv {
		if i != axis && !d.Is(1) || i != axis && len(sx) < 2 {
			return nil
		}
	}
	if x == v {
		return nil
	}
	return lazy.Reshape(v, sv[axis])
}
