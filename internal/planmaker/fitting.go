package planmaker

import (
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// MakeFitting is [Make] for patterns that random steps rarely produce: operands
// that fit each other, and the groups of steps that an engine fuses. Sizes are
// as odd as those of Make, including zero.
func MakeFitting(data []byte) (*plan.Plan, transport.Weights, *Draws) {
	m := New(data)
	for range 1 + m.Below(3) {
		m.pattern()
		for range m.Below(3) {
			m.step()
		}
	}
	m.outputs()
	m.Assign()
	return &m.p, m.weights, &m.Draws
}

// f32 is an input of floats, or a constant.
func (m *Maker) f32(dims ...plan.Dim) int {
	spec := plan.Spec{DType: plan.F32, Shape: dims}
	if n, ok := plan.Shape(dims).Elements().Const(); ok && n <= 512 && m.Below(3) == 0 {
		return m.leaf(plan.Value{Kind: plan.KindConst, Spec: spec, Const: Elements(plan.F32, n, m.Byte())})
	}
	return m.Input(spec)
}

// last is the value of a step, or an existing one if the step was refused.
func (m *Maker) last(name string, attrs plan.Attrs, in ...int) int {
	if v, ok := m.Apply(name, attrs, in...); ok {
		return v
	}
	return in[0]
}

func flags(a, b bool) plan.Attrs {
	return plan.Attrs{plan.BoolAttr("trans_a", a), plan.BoolAttr("trans_b", b)}
}

// pattern adds one of the groups.
func (m *Maker) pattern() {
	switch m.Below(11) {
	case 0, 1:
		m.image()
	case 2:
		m.linear()
	case 3:
		m.attention()
	case 4:
		m.last("embedding", nil, m.f32(m.dim(true), m.dim(true)), m.Input(plan.Spec{DType: plan.I32, Shape: m.shape(false)}))
	case 5:
		x := m.f32(m.dim(false), m.dim(false))
		batch := m.p.Values[x].Spec.Shape[:1]
		of := func(t plan.DType) int { return m.Input(plan.Spec{DType: t, Shape: batch}) }
		m.last("sample", nil, x, of(plan.F32), of(plan.F32), of(plan.I32), of(plan.I64), of(plan.I32))
	case 6:
		x := m.f32(m.dim(false), m.dim(false), m.dim(true))
		m.last("pick", nil, x, m.Input(plan.Spec{DType: plan.I64, Shape: m.p.Values[x].Spec.Shape[:1]}))
	case 7:
		m.grouped()
	case 8:
		half, other := m.dim(true), m.dim(true)
		x := m.f32(m.dim(false), m.dim(false), half.Scale(2).Add(other))
		angles := plan.Shape{m.p.Values[x].Spec.Shape[1], half}[m.Below(2):]
		n, _ := half.Const()
		m.last("rope", plan.Attrs{plan.Int("dims", 2*n), plan.BoolAttr("interleaved", m.Below(2) == 0)}, x, m.f32(angles...), m.f32(angles...))
	case 9:
		m.norm("rms_norm", plan.Attrs{plan.Float("eps", 1e-5), plan.Float("offset", float64(m.Below(2)))}, 1)
	default:
		m.norm("layer_norm", plan.Attrs{plan.Float("eps", 1e-5)}, 2)
	}
}

// norm is a normalisation with up to so many parameters.
func (m *Maker) norm(name string, attrs plan.Attrs, most int) {
	x := m.f32(m.dim(false), m.dim(false))
	in := []int{x}
	for range most - m.Below(2)*m.Below(most+1) {
		in = append(in, m.f32(m.p.Values[x].Spec.Shape[1]))
	}
	m.last(name, attrs, in...)
}

// grouped is attention of groups of heads as one step, with any mask.
func (m *Maker) grouped() {
	b, h, d, queries, keys := m.dim(false), plan.C(1+m.Below(2)), m.dim(true), m.dim(false), m.dim(false)
	heads := h.Scale(1 + m.Below(3))
	in := []int{m.f32(b, heads, queries, d), m.f32(b, h, keys, d), m.f32(b, h, keys, m.dim(true))}
	bit := func(k int) bool { return m.Below(k) == 0 }
	mask, causal, window, start := []string{"none", "none", "add", "bool"}[m.Below(4)], bit(2), 0, bit(3)
	if causal {
		window = m.Below(4)
	}
	if mask != "none" {
		shape := plan.Shape{b, heads, queries, keys}[m.Below(4):]
		for i := range shape {
			if bit(2) {
				shape[i] = plan.C(1)
			}
		}
		t := plan.F32
		if mask == "bool" {
			t = plan.Bool
		}
		in = append(in, m.Input(plan.Spec{DType: t, Shape: shape}))
	}
	if start {
		in = append(in, m.Input(plan.Spec{DType: plan.I32, Shape: plan.Shape{b}}))
	}
	y := m.last("attention", plan.Attrs{
		plan.BoolAttr("causal", causal), plan.Str("mask", mask), plan.Float("scale", 0.5), plan.Float("softcap", float64(m.Below(2))),
		plan.BoolAttr("start", start), plan.Int("window", window),
	}, in...)
	if bit(2) {
		y = m.last("transpose", plan.Attrs{plan.Ints("perm", []int{0, 2, 1, 3})}, y)
		s := m.p.Values[y].Spec.Shape
		if len(s) == 4 && bit(2) {
			m.last("reshape", plan.Attrs{plan.Dims("shape", s[0], s[1], s[2].Mul(s[3]))}, y)
		}
	}
}

// image is a convolution of images with possible follow-up steps, or a pooling.
func (m *Maker) image() {
	pair := func(key string, least int) plan.Attr {
		return plan.Ints(key, []int{least + m.Below(3), least + m.Below(3)})
	}
	c, outs, groups := m.Below(6), m.Below(20), 1
	if m.Below(4) == 0 { // a filter for each channel
		outs, groups = c, max(c, 1)
	}
	x := m.f32(m.dim(false), plan.C(c), plan.C(m.Below(10)), plan.C(m.Below(10)))
	if m.Below(4) == 0 {
		x = m.last("max_pool2d", plan.Attrs{pair("kernel", 1), pair("pad", 0), pair("stride", 1)}, x)
	}
	k := plan.C(1 + 2*m.Below(2))
	in := []int{x, m.f32(plan.C(outs), plan.C(c/groups), k, k)}
	if m.Below(2) == 0 {
		in = append(in, m.f32(plan.C(outs)))
	}
	y := m.last("conv2d", plan.Attrs{pair("dilation", 1), plan.Int("groups", groups), pair("pad", 0), pair("stride", 1)}, in...)
	if m.Below(2) == 0 {
		n := m.p.Values[y].Spec.Shape[1]
		y = m.last("batch_norm", plan.Attrs{plan.Float("eps", 1e-3)}, y, m.f32(n), m.f32(n), m.f32(n), m.f32(n))
	}
	if m.Below(2) == 0 {
		y = m.last("add", nil, y, m.f32(m.p.Values[y].Spec.Shape...))
	}
	y = m.last("relu", nil, y)
	m.last("reduce", plan.Attrs{plan.Ints("axes", []int{2, 3}), plan.BoolAttr("keep", m.Below(2) == 0), plan.Str("kind", []string{"mean", "max"}[m.Below(2)])}, y)
}

// linear is a product with one matrix, a weight where possible, and follow-up
// steps.
func (m *Maker) linear() {
	k, n, t := m.dim(true), m.dim(true), m.Below(2) == 0
	shape := []plan.Dim{k, n}
	if t {
		shape = []plan.Dim{n, k}
	}
	y := m.last("matmul", flags(false, t), m.f32(m.dim(false), m.dim(false), k), m.f32(shape...))
	y = m.last("bias", nil, y, m.f32(n))
	m.last("gelu", plan.Attrs{plan.BoolAttr("tanh", m.Below(2) == 0)}, y)
}

// attention is attention of some heads, masked or not.
func (m *Maker) attention() {
	b, h, d := m.dim(false), m.dim(true), m.dim(true)
	keys := m.dim(false)
	q, k, v := m.f32(b, h, m.dim(false), d), m.f32(b, h, keys, d), m.f32(b, h, keys, m.dim(true))
	s := m.last("matmul", flags(false, true), q, k)
	switch m.Below(3) {
	case 0:
		s = m.last("causal_mask", plan.Attrs{plan.Int("window", m.Below(3))}, s)
	case 1:
		s = m.last("causal_mask", plan.Attrs{plan.Int("window", m.Below(3))}, s, m.Input(plan.Spec{DType: plan.I32, Shape: plan.Shape{b}}))
	}
	p := m.last("softmax", plan.Attrs{plan.Int("axis", -1)}, s)
	y := m.last("matmul", flags(false, false), p, v)
	if m.Below(2) == 0 {
		m.last("transpose", plan.Attrs{plan.Ints("perm", []int{0, 2, 1, 3})}, y)
	}
}
