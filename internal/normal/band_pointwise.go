package normal

import (
	"math"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// arithmetic are the functions of the pointwise operators that masks are
// computed with, on numbers; truth is 0 or 1.
var arithmetic = map[string]func(x, y float64) float64{
	"add": func(x, y float64) float64 { return x + y },
	"sub": func(x, y float64) float64 { return x - y },
	"mul": func(x, y float64) float64 { return x * y },
	"div": func(x, y float64) float64 { return x / y },
	"min": math.Min,
	"max": math.Max,
	"and": math.Min, "or": math.Max,
	"xor":           func(x, y float64) float64 { return truth(x != y) },
	"equal":         func(x, y float64) float64 { return truth(x == y) },
	"less":          func(x, y float64) float64 { return truth(x < y) },
	"less_equal":    func(x, y float64) float64 { return truth(x <= y) },
	"greater":       func(x, y float64) float64 { return truth(x > y) },
	"greater_equal": func(x, y float64) float64 { return truth(x >= y) },
	"not":           func(x, _ float64) float64 { return 1 - x },
	"neg":           func(x, _ float64) float64 { return -x },
}

// absorbing is the operand value that alone decides the result of an operator.
var absorbing = map[string]float64{"and": 0, "or": 1, "mul": 0}

// bandPointwise is a pointwise operator on a band and a number, on a band and a
// value that do not matter outside of it, or on two bands.
func (b *builder) bandPointwise(n *node) (band, bool) {
	f := arithmetic[n.op.Name()]
	if f == nil || len(n.in) > 2 {
		return band{}, false
	}
	x, okx := b.bandOf(n.in[0])
	if len(n.in) == 1 {
		return b.combine(n, x, band{}, f, okx)
	}
	y, oky := b.bandOf(n.in[1])
	if v, ok := n.in[1].number(); ok && okx {
		return b.combine(n, x, band{in: inside{v: v}, out: v}, f, true)
	}
	if v, ok := n.in[0].number(); ok && oky {
		x = band{in: inside{v: v}, out: v}
		return b.combine(n, x, y, f, true)
	}
	zero, absorbs := absorbing[n.op.Name()]
	if absorbs {
		x, y, okx, oky = absorbed(x, y, okx, oky, zero, n)
		if x.out != zero || y.out != zero {
			return band{}, false
		}
		return b.combine(n, x, y, f, okx && oky)
	}
	if (n.is("add") || n.is("min")) && okx && oky {
		mx, ok := x.asMask()
		if my, ok2 := y.asMask(); ok && ok2 {
			// Inside both, nothing is added; outside of one, enough is taken away.
			mx.limits = append(append([]positions(nil), mx.limits...), my.limits...)
			mx.out = max(mx.out, my.out)
			return mx, true
		}
	}
	if okx && oky && sameLimits(x.limits, y.limits) {
		return b.combine(n, x, y, f, true)
	}
	return band{}, false
}

// absorbed brings operands of an operator into the form in which the value
// outside decides. What is not a band has no outside.
func absorbed(x, y band, okx, oky bool, zero float64, n *node) (x2, y2 band, okx2, oky2 bool) {
	if okx {
		x, _ = x.masked(zero)
	}
	if oky {
		y, _ = y.masked(zero)
	}
	switch {
	case okx && (!oky || y.out != zero):
		return x, band{in: insideOf(n.in[1]), out: zero}, true, true
	case oky && (!okx || x.out != zero):
		return band{in: insideOf(n.in[0]), out: zero}, y, true, true
	}
	return x, y, okx, oky
}

func sameLimits(a, b []positions) bool {
	if len(a) != len(b) {
		return false
	}
	for i, p := range a {
		if p.step != b[i].step || !p.c.Equal(b[i].c) {
			return false
		}
	}
	return true
}

// combine applies n's operator to the insides and to the outsides.
func (b *builder) combine(n *node, x, y band, f func(x, y float64) float64, ok bool) (band, bool) {
	if !ok {
		return band{}, false
	}
	r := band{out: f(x.out, y.out)}
	r.limits = append(append(r.limits, x.limits...), y.limits...)
	if sameLimits(x.limits, y.limits) {
		r.limits = x.limits
	}
	if x.in.n == nil && y.in.n == nil {
		r.in.v = f(x.in.v, y.in.v)
		return r, true
	}
	in := []*node{b.valueOf(x.in, n.in[0].spec.DType)}
	if len(n.in) == 2 {
		in = append(in, b.valueOf(y.in, n.in[1].spec.DType))
	}
	r.in = insideOf(b.make(n.op, in...))
	return r, r.in.n != bad
}

// valueOf is the inside of a band as a value.
func (b *builder) valueOf(x inside, dt plan.DType) *node {
	if x.n != nil {
		return x.n
	}
	c := b.constF32([]float32{float32(x.v)})
	if dt == plan.F32 {
		return c
	}
	return b.make(op.Cast{To: dt}, c)
}
