package normal

import (
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// band is a tensor that has one value outside of a region, the places where
// some linear functions of the indices are not negative: a triangle, a band
// along a diagonal, a range of positions.
type band struct {
	limits []positions
	in     inside
	out    float64
}

// inside is what a band has inside of its region: a number, or the elements of
// a value that broadcasts.
type inside struct {
	n *node
	v float64
}

// maxMaskBytes bounds the content of a constant or a weight that is read to find
// out whether it is a mask.
const maxMaskBytes = 32 << 20

// bandResult is a memo of [builder.bandOf].
type bandResult struct {
	band
	ok bool
}

// bandOf describes n if it is a band.
func (b *builder) bandOf(n *node) (band, bool) {
	if r, ok := b.bands[n]; ok {
		return r.band, r.ok
	}
	r, ok := b.findBand(n)
	if b.bands == nil {
		b.bands = map[*node]bandResult{}
	}
	b.bands[n] = bandResult{r, ok}
	return r, ok
}

func (b *builder) findBand(n *node) (band, bool) {
	if n.constant || n.isWeight() {
		return b.contentBand(n)
	}
	if n.op == nil {
		return band{}, false
	}
	if r, ok := b.comparison(n); ok {
		return r, true
	}
	switch o := n.op.(type) {
	case op.Transpose, op.Reshape, op.Slice, op.Expand:
		return b.bandView(n)
	case op.Cast:
		return b.bandCast(n, o)
	case op.Where:
		return b.bandWhere(n)
	}
	if n.is("trilu") {
		return b.bandTrilu(n)
	}
	return b.bandPointwise(n)
}

// comparison is the band in which one linear function of the indices is at most
// another.
func (b *builder) comparison(n *node) (band, bool) {
	at, ok := map[string]struct{ sign, strict int }{
		"greater_equal": {1, 0}, "greater": {1, 1}, "less_equal": {-1, 0}, "less": {-1, 1},
	}[n.op.Name()]
	if !ok {
		return band{}, false
	}
	in := n.in
	if width, ok := n.in[1].number(); ok && n.in[0].is("abs") && at.sign < 0 {
		p, ok := b.positionsOf(n.in[0].in[0])
		limit := positions{c: plan.C(int(width) - at.strict)}
		return band{[]positions{limit.add(p, -1), limit.add(p, 1)}, inside{v: 1}, 0}, ok && width == math.Trunc(width)
	}
	p, ok := b.positionsOf(in[0])
	q, ok2 := b.positionsOf(in[1])
	if !ok || !ok2 {
		return band{}, false
	}
	p = p.add(q, -1).times(at.sign)
	p.c = p.c.Sub(plan.C(at.strict))
	return band{[]positions{p}, inside{v: 1}, 0}, true
}

// masked gives a band the value out outside of its region, by taking the
// complement of a region of one limit.
func (r band) masked(out float64) (band, bool) {
	if r.out == out {
		return r, true
	}
	if r.in.n != nil || r.in.v != out || len(r.limits) != 1 {
		return r, false
	}
	p := r.limits[0].times(-1)
	p.c = p.c.Sub(plan.C(1))
	return band{[]positions{p}, inside{v: r.out}, r.in.v}, true
}

// bandView is a band after an operator that moves elements.
func (b *builder) bandView(n *node) (band, bool) {
	r, ok := b.bandOf(n.in[0])
	if !ok {
		return r, false
	}
	r.limits = slices.Clone(r.limits)
	for i := range r.limits {
		if r.limits[i], ok = r.limits[i].view(n); !ok {
			return r, false
		}
	}
	if r.in.n != nil {
		r.in.n, ok = b.viewed(r.in.n, n)
	}
	return r, ok
}

// viewed is x, which broadcasts to the input of the view n, after that view.
func (b *builder) viewed(x, n *node) (*node, bool) {
	from := n.in[0].spec.Shape
	full := make(plan.Shape, len(from))
	for i := range full {
		full[i] = plan.C(1)
		if at := i - len(from) + x.rank(); at >= 0 {
			full[i] = x.spec.Shape[at]
		}
	}
	x = b.reshape(x, full...)
	switch o := n.op.(type) {
	case op.Transpose:
		x = b.make(o, x)
	case op.Slice:
		if axis := wrap(o.Axis, n.in[0]); !full[axis].Is(1) || from[axis].Is(1) {
			x = b.make(op.Slice{Axis: axis, Start: o.Start, Stop: o.Stop}, x)
		}
	case op.Reshape:
		to, ok := unitReshape(full, from, n.spec.Shape)
		if !ok {
			if x = b.make(op.Expand{Shape: from}, x); x != bad {
				x = b.reshape(x, n.spec.Shape...)
			}
			return x, x != bad
		}
		x = b.reshape(x, to...)
	case op.Expand:
	}
	return x, x != bad
}

// unitReshape is what a reshape that only adds and drops axes of size one makes
// of a shape that broadcasts to its input.
func unitReshape(x, from, to plan.Shape) (plan.Shape, bool) {
	out := make(plan.Shape, len(to))
	at := 0
	for i, d := range to {
		out[i] = plan.C(1)
		if d.Is(1) {
			continue
		}
		for at < len(from) && from[at].Is(1) {
			at++
		}
		if at == len(from) || !from[at].Equal(d) {
			return nil, false
		}
		out[i] = x[at]
		at++
	}
	for ; at < len(from); at++ {
		if !from[at].Is(1) {
			return nil, false
		}
	}
	return out, true
}

func (b *builder) bandCast(n *node, o op.Cast) (band, bool) {
	r, ok := b.bandOf(n.in[0])
	if !ok {
		return r, false
	}
	if o.To == plan.Bool {
		r.out = truth(r.out != 0)
		r.in.v = truth(r.in.v != 0)
	}
	if r.in.n != nil {
		r.in.n = b.make(o, r.in.n)
	}
	return r, r.in.n != bad
}

func truth(x bool) float64 {
	if x {
		return 1
	}
	return 0
}

// bandWhere chooses by a band between two values: a number outside of the band,
// or outside of its complement.
func (b *builder) bandWhere(n *node) (band, bool) {
	r, ok := b.bandOf(n.in[0])
	if !ok {
		return r, false
	}
	for _, out := range []float64{r.out, 1 - r.out} {
		c, ok := r.masked(out)
		if !ok {
			continue
		}
		if w, ok := b.chosen(n, c); ok {
			return w, true
		}
	}
	return r, false
}

// chosen is where(r, ...), if it is a number outside of r.
func (b *builder) chosen(n *node, r band) (band, bool) {
	within, outside := n.in[1], n.in[2]
	if r.out != 0 {
		within, outside = outside, within
	}
	out, ok := outside.number()
	if !ok {
		return r, false
	}
	r.out = out
	if r.in.n != nil {
		r.in.n = b.make(op.Where{}, r.in.n, n.in[1], n.in[2])
		return r, r.in.n != bad
	}
	if inner, ok := b.bandOf(within); ok && out <= maskFill {
		if inner, ok = inner.asMask(); ok {
			inner.limits = append(slices.Clone(r.limits), inner.limits...)
			inner.out = max(inner.out, out)
			return inner, true
		}
	}
	r.in = insideOf(within)
	return r, true
}

// asMask brings an additive mask into the form in which it is low outside and
// zero inside.
func (r band) asMask() (band, bool) {
	if r.in.n == nil && r.out == 0 {
		if m, ok := r.masked(r.in.v); ok {
			r = m
		}
	}
	return r, r.in.n == nil && r.in.v == 0 && r.out <= maskFill
}

// insideOf is a value as the inside of a band: a number if it is one.
func insideOf(n *node) inside {
	if v, ok := n.number(); ok {
		return inside{v: v}
	}
	return inside{n: n}
}

// bandTrilu is the lower or upper triangle of a number; zero elsewhere.
func (b *builder) bandTrilu(n *node) (band, bool) {
	k, ok := attrDim(n.op, "k").Const()
	if !ok || n.rank() < 2 || len(n.in) != 1 {
		return band{}, false
	}
	p := positions{c: plan.C(k)}
	p.step[1], p.step[0] = 1, -1 // row - column + k is not negative: the lower triangle
	if attrDim(n.op, "upper").Is(1) {
		p = p.times(-1)
	}
	if r, ok := b.bandOf(n.in[0]); ok && r.out == 0 {
		r.limits = append(slices.Clone(r.limits), p)
		return r, true
	}
	return band{[]positions{p}, insideOf(n.in[0]), 0}, true
}
