package planmaker

import "github.com/genie-sdk/go/transport/plan"

// general picks one of the operators beyond those of the models in this module.
func (m *Maker) general(axis int) (string, plan.Attrs, int) {
	along := plan.Int("axis", axis)
	pair := func(key string, least int) plan.Attr {
		return plan.Ints(key, []int{least + m.Below(3), least + m.Below(3)})
	}
	switch k := m.Below(20); k {
	case 0, 1, 2, 3:
		return []string{"abs", "neg", "sigmoid", "atan"}[k], nil, 1
	case 4, 5, 6:
		return []string{"min", "max", "greater_equal"}[k-4], nil, 2
	case 7, 8:
		return []string{"and", "or"}[k-7], nil, 2
	case 9:
		return "not", nil, 1
	case 10:
		return "clip", plan.Attrs{plan.Float("max", 1), plan.Float("min", -0.5)}, 1
	case 11:
		return "gather", plan.Attrs{along}, 2
	case 12:
		return "gather_elements", plan.Attrs{along}, 2
	case 13:
		n := m.Below(5)
		before, after := make([]int, n), make([]int, n)
		for i := range n {
			before[i], after[i] = m.Below(3), m.Below(3)-m.Below(2)
		}
		mode := []string{"constant", "edge", "reflect"}[m.Below(3)]
		return "pad", plan.Attrs{plan.Ints("after", after), plan.Ints("before", before), plan.Str("mode", mode), plan.Float("value", 1)}, 1
	case 14:
		return "cumsum", plan.Attrs{along, plan.BoolAttr("exclusive", m.Below(2) == 1), plan.BoolAttr("reverse", m.Below(2) == 1)}, 1
	case 15:
		return "trilu", plan.Attrs{plan.Int("k", m.Below(5)-2), plan.BoolAttr("upper", m.Below(2) == 1)}, 1
	case 16:
		dt := []plan.DType{plan.F32, plan.I32, plan.I64}[m.Below(3)]
		return "range", plan.Attrs{plan.Str("dtype", dt.String()), plan.Dims("length", m.dim(false)), plan.Int("start", m.Below(5)-2), plan.Int("step", m.Below(4)-1)}, 0
	case 17:
		return "argmin", plan.Attrs{along}, 1
	case 18:
		return "avg_pool2d", plan.Attrs{
			plan.BoolAttr("ceil", m.Below(2) == 1), plan.BoolAttr("count_pad", m.Below(2) == 1), pair("dilation", 1), pair("kernel", 1),
			plan.Ints("pad", []int{m.Below(2), m.Below(2), m.Below(2), m.Below(2)}), pair("stride", 1),
		}, 1
	default:
		return "group_norm", plan.Attrs{plan.Float("eps", 1e-3), plan.Int("groups", 1+m.Below(3))}, 3
	}
}
