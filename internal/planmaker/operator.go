package planmaker

import "github.com/genie-sdk/go/transport/plan"

// operator picks an operator, its attributes and its number of inputs; steps that
// depend on their input fill in their attributes themselves.
func (m *Maker) operator() (string, plan.Attrs, int) { //nolint:funlen // a table
	axis := m.Below(6) - 2
	pair := func(key string, least int) plan.Attr {
		return plan.Ints(key, []int{least + m.Below(3), least + m.Below(3)})
	}
	switch k := m.Below(39); k {
	case 0, 1, 2, 3:
		return []string{"add", "sub", "mul", "div"}[k], nil, 2
	case 4, 5, 6, 7, 8, 9, 10, 11:
		return []string{"relu", "tanh", "exp", "sqrt", "quick_gelu", "identity", "contiguous", "relu"}[k-4], nil, 1
	case 12:
		return "gelu", plan.Attrs{plan.BoolAttr("tanh", m.Below(2) == 1)}, 1
	case 13, 14, 15:
		return "matmul", plan.Attrs{plan.BoolAttr("trans_a", m.Below(4) == 3), plan.BoolAttr("trans_b", m.Below(2) == 1)}, 2
	case 16:
		return "bias", nil, 2
	case 17:
		return "softmax", plan.Attrs{plan.Int("axis", axis)}, 1
	case 18:
		return "layer_norm", plan.Attrs{plan.Float("eps", 1e-5)}, 1 + m.Below(3)
	case 19:
		return "causal_mask", plan.Attrs{plan.Int("window", m.Below(5))}, 1 + m.Below(2)
	case 20:
		return "concat", plan.Attrs{plan.Int("axis", axis)}, 1 + m.Below(4)
	case 21:
		return "embedding", nil, 2
	case 22:
		return "equal", nil, 2
	case 23:
		return "where", nil, 3
	case 24:
		return "pick", nil, 2
	case 25, 26:
		axes := []int{axis, m.Below(4)}[:1+m.Below(2)]
		return "reduce", plan.Attrs{plan.Ints("axes", axes), plan.BoolAttr("keep", m.Below(2) == 1), plan.Str("kind", []string{"sum", "mean", "max"}[m.Below(3)])}, 1
	case 27:
		return "argmax", plan.Attrs{plan.Int("axis", axis)}, 1
	case 28:
		return "topk", plan.Attrs{plan.BoolAttr("indices", m.Below(2) == 1), plan.Int("k", m.Below(5))}, 1
	case 29:
		return "slice", plan.Attrs{plan.Int("axis", axis), plan.Dims("start", m.dim(m.Below(2) == 0)), plan.Dims("stop", m.dim(m.Below(2) == 0))}, 1
	case 30:
		return "transpose", nil, 1
	case 31:
		return "reshape", nil, 1
	case 32:
		return "expand", plan.Attrs{plan.Dims("shape", m.shape(false)...)}, 1
	case 33:
		return "cast", plan.Attrs{plan.Int("to", int(m.dtype()))}, 1
	case 34:
		return "conv2d", plan.Attrs{pair("dilation", 1), plan.Int("groups", 1+m.Below(2)), pair("pad", 0), pair("stride", 1)}, 2 + m.Below(2)
	case 35:
		return "max_pool2d", plan.Attrs{pair("kernel", 1), pair("pad", 0), pair("stride", 1)}, 1
	case 36:
		return "log_softmax", plan.Attrs{plan.Int("axis", axis)}, 1
	case 37:
		return "rms_norm", plan.Attrs{plan.Float("eps", 1e-5), plan.Float("offset", 0)}, 1 + m.Below(2)
	default:
		return "batch_norm", plan.Attrs{plan.Float("eps", 1e-3)}, 5
	}
}
