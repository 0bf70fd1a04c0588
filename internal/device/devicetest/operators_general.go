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
	"cumsum": {eval(cumsum(-1, false, false), f32(3, 17)), eval(cumsum(0, true, true), f32(5, 3)), eval(cumsum(1, true, false), index(plan.I64, 9, 3, 7))},
	"trilu":  {eval(trilu(true, 0), f32(5, 7)), eval(trilu(false, -1), f32(2, 3, 7, 5)), eval(trilu(true, 2), index(plan.I64, 9, 3, 3))},
	"range":  {eval(numbersFrom(plan.F32, -3, 2, 17)), eval(numbersFrom(plan.I64, 0, 1, 5)), eval(numbersFrom(plan.I32, 7, -1, 0))},
}
