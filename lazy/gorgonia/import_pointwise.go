package gorgonia

import (
	"fmt"
	"math"

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
	if f := unaryFunctions[unaryNames[kind]]; f != nil {
		return f(x), nil
	}
	switch unaryNames[kind] {
	case "sign": // 0 for NaN, as Gorgonia
		return lazy.Sub(im.greater(x, im.number(0)), im.greater(im.number(0), x)), nil
	case "log2":
		return lazy.Mul(lazy.Log(x), im.number(1/math.Ln2)), nil
	case "neg":
		return im.neg(x), nil
	case "square":
		return lazy.Mul(x, x), nil
	case "inverse":
		return lazy.Div(im.number(1), x), nil
	case "inverse sqrt":
		return lazy.Div(im.number(1), lazy.Sqrt(x)), nil
	case "cube":
		return lazy.Mul(lazy.Mul(x, x), x), nil
	}
	return nil, errNoCounterpart
}

// unaryFunctions are the operators that a program has too.
var unaryFunctions = map[string]func(*lazy.Tensor) *lazy.Tensor{
	"abs": lazy.Abs, "ceil": lazy.Ceil, "floor": lazy.Floor, "sin": lazy.Sin, "cos": lazy.Cos, "exp": lazy.Exp, "log": lazy.Log,
	"sqrt": lazy.Sqrt, "tanh": lazy.Tanh, "sigmoid": lazy.Sigmoid, "log1p": lazy.Log1p, "expm1": lazy.Expm1, "softplus": lazy.Softplus,
}

func (im *importer) neg(x *lazy.Tensor) *lazy.Tensor { return lazy.Mul(x, im.number(-1)) }

// greater is 1 where a > b and 0 elsewhere.
func (im *importer) greater(a, b *lazy.Tensor) *lazy.Tensor {
	return lazy.Cast(lazy.Greater(a, b), lazy.F32)
}

// compare is where the comparison holds, as bool.
func (im *importer) compare(kind string, a, b *lazy.Tensor) *lazy.Tensor {
	f := map[string]func(a, b *lazy.Tensor) *lazy.Tensor{
		"lt": lazy.Less, "gt": lazy.Greater, "lte": lazy.LessEqual, "gte": lazy.GreaterEqual, "eq": lazy.Equal,
	}[kind]
	if f == nil { // ne
		return lazy.Not(lazy.Equal(a, b))
	}
	return f(a, b)
}

func (im *importer) minBetween(_ *gorgonia.Node, kids []*gorgonia.Node, _ *fields) (*lazy.Tensor, error) {
	a, b := im.operand(kids[0]), im.operand(kids[1])
	return lazy.Where(lazy.Greater(b, a), a, b), nil
}

func (im *importer) maxBetween(_ *gorgonia.Node, kids []*gorgonia.Node, _ *fields) (*lazy.Tensor, error) {
	a, b := im.operand(kids[0]), im.operand(kids[1])
	return lazy.Where(lazy.Greater(a, b), a, b), nil
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
		return im.pow(a, b, kids[1]), nil
	}
	t := im.compare(kind, a, b)
	if same {
		t = lazy.Cast(t, a.DType())
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

// pow is a power. Those that need no general one are spelled without.
func (im *importer) pow(x, y *lazy.Tensor, exponent *gorgonia.Node) *lazy.Tensor {
	p, ok := scalarConstant(exponent)
	if !ok {
		return lazy.Pow(x, y)
	}
	switch p {
	case 1:
		return x
	case 2:
		return lazy.Mul(x, x)
	case 3:
		return lazy.Mul(lazy.Mul(x, x), x)
	case 4:
		square := lazy.Mul(x, x)
		return lazy.Mul(square, square)
	case -1:
		return lazy.Div(im.number(1), x)
	case -2:
		return lazy.Div(im.number(1), lazy.Mul(x, x))
	case 0.5: // unlike a power, NaN of negative infinity: as Gorgonia's own
		return lazy.Sqrt(x)
	case -0.5:
		return lazy.Div(im.number(1), lazy.Sqrt(x))
	}
	return lazy.Pow(x, y)
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
