package devicetest

import (
	"math"

	"github.com/genie-sdk/go/transport/plan"
)

// numeric are operators of two floats or two indices.
func numeric(attrs plan.Attrs) (all []evaluation) {
	for _, e := range pairs(f32) {
		all = append(all, eval(attrs, e.in...))
	}
	return append(all,
		eval(attrs, index(plan.I32, 9, 3, 1, 5), index(plan.I32, 9, 2, 5)), eval(attrs, index(plan.I64, 9, 7), index(plan.I64, 9)),
		eval(attrs, index(plan.I64, 9, 3, 7), index(plan.I64, 9, 7)))
}

// logic are operators of two masks.
var logic = []evaluation{
	eval(nil, index(plan.Bool, 2, 3, 1, 5), index(plan.Bool, 2, 2, 5)), eval(nil, index(plan.Bool, 2, 7), index(plan.Bool, 2, 7)),
	eval(nil, index(plan.Bool, 2, 7), index(plan.Bool, 2)),
}

// integral are unary operators of floats and of indices.
var integral = append(unary(nil, f32), eval(nil, index(plan.I32, 9, 3, 7)), eval(nil, index(plan.I64, 9, 7)))

func clip(lo, hi float64) plan.Attrs { return plan.Attrs{plan.Float("max", hi), plan.Float("min", lo)} }

func scatter(axis int, combine string) plan.Attrs {
	return plan.Attrs{plan.Int("axis", axis), plan.Str("combine", combine)}
}

func padding(mode string, before, after []int) plan.Attrs {
	return plan.Attrs{plan.Ints("after", after), plan.Ints("before", before), plan.Str("mode", mode), plan.Float("value", 0.5)}
}

func cumsum(axis int, exclusive, reverse bool) plan.Attrs {
	return plan.Attrs{plan.Int("axis", axis), plan.BoolAttr("exclusive", exclusive), plan.BoolAttr("reverse", reverse)}
}

func trilu(upper bool, k int) plan.Attrs {
	return plan.Attrs{plan.Int("k", k), plan.BoolAttr("upper", upper)}
}

func numbersFrom(t plan.DType, start, step, n int) plan.Attrs {
	return plan.Attrs{plan.Str("dtype", t.String()), dims("length", n), plan.Int("start", start), plan.Int("step", step)}
}

func maxPool(kernel, pad, stride, dilation int, ceil bool) plan.Attrs {
	a := append(pool(kernel, pad, stride), plan.Ints("dilation", []int{dilation, dilation}))
	if ceil {
		a = append(a, plan.BoolAttr("ceil", true))
	}
	return a
}

func avgPool(kernel, pad, stride int, count, ceil bool) plan.Attrs {
	return plan.Attrs{
		plan.BoolAttr("ceil", ceil), plan.BoolAttr("count_pad", count), plan.Ints("dilation", []int{1, 1}), plan.Ints("kernel", []int{kernel, kernel}),
		plan.Ints("pad", []int{pad, pad, pad, pad}), plan.Ints("stride", []int{stride, stride}),
	}
}

func convTranspose(stride, dilation, outPad, pad, groups int) plan.Attrs {
	return plan.Attrs{
		plan.Ints("dilation", []int{dilation, dilation}), plan.Int("groups", groups), plan.Ints("out_pad", []int{outPad, outPad}),
		plan.Ints("pad", []int{pad, pad, pad, pad}), plan.Ints("stride", []int{stride, stride}),
	}
}

func groupNorm(groups int) plan.Attrs {
	return plan.Attrs{plan.Float("eps", 1e-5), plan.Int("groups", groups)}
}

func resize(mode, coords string, shape ...int) plan.Attrs {
	return plan.Attrs{plan.Str("coords", coords), plan.Float("cubic", -0.75), plan.Str("mode", mode), plan.Str("nearest", "round_prefer_floor"), dims("shape", shape...)}
}

func recurrent(direction, activations string) plan.Attrs {
	return plan.Attrs{
		plan.Str("activations", activations), plan.Float("clip", 0), plan.BoolAttr("coupled", false), plan.Str("direction", direction),
		plan.BoolAttr("lengths", false), plan.BoolAttr("peepholes", false),
	}
}

// coupled is a GRU whose reset gate multiplies the product.
func coupled(a plan.Attrs) plan.Attrs {
	for i := range a {
		if a[i].Key == "coupled" {
			a[i] = plan.BoolAttr("coupled", true)
		}
	}
	return a
}

// general are evaluations of operators beyond those of the models in this
// module.
var general = map[string][]evaluation{
	"add": numeric(nil), "sub": numeric(nil), "mul": numeric(nil), "div": numeric(nil), "min": numeric(nil), "max": numeric(nil),
	"pow":  {eval(nil, positive(3, 7), f32(7)), eval(nil, positive(5, 1), f32(2, 1, 3)), eval(nil, f32(9), f32())},
	"mod":  append(numeric(plan.Attrs{plan.BoolAttr("fmod", true)}), numeric(plan.Attrs{plan.BoolAttr("fmod", false)})...),
	"less": numeric(nil), "less_equal": numeric(nil), "greater": numeric(nil), "greater_equal": numeric(nil),
	"and": logic, "or": logic, "xor": logic, "not": {eval(nil, index(plan.Bool, 2, 3, 7)), eval(nil, index(plan.Bool, 2))},
	"is_nan": unary(nil, f32), "is_inf": unary(nil, f32), "neg": integral, "abs": integral, "sign": integral,
	"clip": append(unary(clip(-0.5, 0.25), f32), unary(clip(0, math.Inf(1)), f32)...),
	"log":  unary(nil, positive), "rsqrt": unary(nil, positive), "log1p": unary(nil, positive),
	"argmin": {eval(axis(-1), f32(3, 17)), eval(axis(0), f32(5, 7))},
	"reduce": {
		eval(reduce("min", false, 1), f32(3, 7, 5)), eval(reduce("prod", true, -1), f32(3, 17)),
		eval(reduce("sum", false, 0), index(plan.I64, 9, 5, 3)), eval(reduce("max", true, 0, 1), index(plan.I32, 9, 5, 3)),
		eval(reduce("prod", false, 1), index(plan.I32, 5, 2, 9)),
	},
	"gather": {
		eval(axis(0), f32(7, 5), index(plan.I32, 7, 3, 2)), eval(axis(1), f32(3, 7, 5), index(plan.I64, 7)),
		eval(axis(-1), index(plan.I64, 9, 3, 7), index(plan.I64, 7, 5)), eval(axis(0), f32(3, 5), index(plan.I32, 3, 0)),
	},
	"gather_elements": {eval(axis(1), f32(3, 7), index(plan.I64, 7, 3, 9)), eval(axis(0), f32(5, 3), index(plan.I32, 5, 2, 2))},
	"gather_nd": {
		eval(plan.Attrs{plan.Int("batch", 0)}, f32(3, 3, 5), index(plan.I64, 3, 7, 2)), eval(plan.Attrs{plan.Int("batch", 1)}, f32(3, 7, 5), index(plan.I32, 7, 3, 1)),
	},
	"scatter_elements": {
		eval(scatter(1, "none"), f32(3, 7), index(plan.I64, 7, 3, 2), f32(3, 2)), eval(scatter(0, "add"), f32(5), index(plan.I32, 5, 17), f32(17)),
		eval(scatter(0, "max"), index(plan.I64, 9, 5), index(plan.I64, 5, 7), index(plan.I64, 9, 7)),
	},
	"scatter_nd": {
		eval(plan.Attrs{plan.Str("combine", "none")}, f32(3, 7), index(plan.I64, 3, 2, 1), f32(2, 7)),
		eval(plan.Attrs{plan.Str("combine", "mul")}, f32(3, 3), index(plan.I32, 3, 17, 2), f32(17)),
	},
	"pad": {
		eval(padding("constant", []int{1, 0}, []int{0, 2}), f32(3, 7)), eval(padding("constant", []int{-1}, []int{3}), f32(5)),
		eval(padding("reflect", []int{2, 0, 4}, []int{1, 0, 0}), f32(3, 2, 7)), eval(padding("edge", []int{0, 3}, []int{2, 0}), f32(1, 5)),
		eval(padding("wrap", []int{1, 2}, []int{1, 3}), f32(2, 3)),
	},
	"max_pool2d": {eval(maxPool(3, 1, 2, 1, true), f32(2, 3, 8, 7)), eval(maxPool(2, 0, 1, 2, false), f32(1, 5, 9, 7))},
	"avg_pool2d": {
		eval(avgPool(3, 1, 2, false, false), f32(2, 3, 9, 7)), eval(avgPool(2, 0, 2, true, true), f32(1, 1, 5, 5)), eval(avgPool(3, 1, 1, true, false), f32(1, 5, 3, 3)),
	},
	"conv_transpose2d": {
		eval(convTranspose(2, 1, 1, 1, 1), f32(2, 3, 5, 4), f32(3, 7, 3, 3), f32(7)), eval(convTranspose(1, 2, 0, 0, 2), f32(1, 4, 3, 3), f32(4, 3, 2, 2)),
		eval(convTranspose(3, 1, 0, 0, 1), f32(1, 17, 3, 5), f32(17, 2, 3, 3)), eval(convTranspose(2, 1, 0, 0, 1), f32(2, 24, 9, 7), f32(24, 1, 2, 2), f32(1)),
		eval(convTranspose(2, 1, 0, 0, 1), f32(2, 9, 17, 5), f32(9, 33, 2, 2), f32(33)), eval(convTranspose(2, 2, 1, 2, 3), f32(2, 9, 7, 5), f32(9, 5, 4, 3), f32(15)),
		eval(convTranspose(4, 1, 1, 0, 1), f32(1, 5, 3, 3), f32(5, 3, 2, 2)),
	},
	"group_norm": {eval(groupNorm(2), f32(2, 4, 5, 7), f32(4), f32(4)), eval(groupNorm(3), f32(1, 3, 17), f32(3), f32(3)), eval(groupNorm(1), f32(3, 6), f32(6), f32(6))},
	"resize": {
		eval(resize("nearest", "asymmetric", 1, 3, 8, 10), f32(1, 3, 4, 5)), eval(resize("linear", "half_pixel", 2, 1, 7, 3), f32(2, 1, 3, 5)),
		eval(resize("nearest", "half_pixel", 2, 3, 5, 9), f32(2, 3, 7, 4)), eval(resize("linear", "half_pixel", 2, 19, 34, 10), f32(2, 19, 17, 5)),
		eval(resize("linear", "align_corners", 3, 4, 5, 6), f32(2, 3, 4, 7)), eval(resize("linear", "asymmetric", 3, 4, 5, 6, 7), f32(2, 3, 4, 5, 6)),
		eval(resize("nearest", "asymmetric", 4, 6, 2), f32(2, 6, 2)), eval(resize("cubic", "half_pixel", 1, 2, 9, 9), f32(1, 2, 5, 4)),
		eval(resize("cubic", "align_corners", 5, 9), f32(3, 4)), eval(resize("linear", "pytorch_half_pixel", 1), f32(7)),
	},
	"lstm": {
		eval(recurrent("both", "sigmoid,tanh,tanh,sigmoid,tanh,tanh"), f32(3, 2, 5), f32(2, 28, 5), f32(2, 28, 7), f32(2, 56), f32(2, 2, 7), f32(2, 2, 7)),
		eval(recurrent("reverse", "sigmoid,tanh,tanh"), f32(2, 3, 33), f32(1, 4*65, 33), f32(1, 4*65, 65), f32(1, 8*65), f32(1, 3, 65), f32(1, 3, 65)),
		eval(recurrent("forward", "sigmoid,tanh,tanh"), f32(1, 1, 3), f32(1, 4, 3), f32(1, 4, 1), f32(1, 8), f32(1, 1, 1), f32(1, 1, 1)),
	},
	"gru": {
		eval(recurrent("reverse", "sigmoid,tanh"), f32(3, 2, 5), f32(1, 21, 5), f32(1, 21, 7), f32(1, 42), f32(1, 2, 7)),
		eval(recurrent("both", "sigmoid,tanh,sigmoid,tanh"), f32(2, 3, 9), f32(2, 3*33, 9), f32(2, 3*33, 33), f32(2, 6*33), f32(2, 3, 33)),
		eval(coupled(recurrent("forward", "sigmoid,tanh")), f32(2, 3, 9), f32(1, 3*33, 9), f32(1, 3*33, 33), f32(1, 6*33), f32(1, 3, 33)),
		eval(recurrent("forward", "tanh,sigmoid"), f32(3, 1, 2), f32(1, 9, 2), f32(1, 9, 3), f32(1, 18), f32(1, 1, 3)),
	},
	"rnn":    {eval(recurrent("forward", "tanh"), f32(5, 3, 2), f32(1, 7, 2), f32(1, 7, 7), f32(1, 14), f32(1, 3, 7))},
	"cumsum": {eval(cumsum(-1, false, false), f32(3, 17)), eval(cumsum(0, true, true), f32(5, 3)), eval(cumsum(1, true, false), index(plan.I64, 9, 3, 7))},
	"trilu":  {eval(trilu(true, 0), f32(5, 7)), eval(trilu(false, -1), f32(2, 3, 7, 5)), eval(trilu(true, 2), index(plan.I64, 9, 3, 3))},
	"range":  {eval(numbersFrom(plan.F32, -3, 2, 17)), eval(numbersFrom(plan.I64, 0, 1, 5)), eval(numbersFrom(plan.I32, 7, -1, 0))},
}
