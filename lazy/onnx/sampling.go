package onnx

import (
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// gridSampler samples an image at the points of a grid, by gathers of the pixels
// around each point.
type gridSampler struct {
	c       *call
	image   *lazy.Tensor // [n, c, pixels]
	sizes   []int        // of the spatial axes
	padding string
	align   bool
	n, ch   plan.Dim
	points  plan.Dim
}

// gridSample is GridSample of x [n, c, ...] with a grid [n, ..., axes] of points from -1 to 1,
// whose last axis counts spatial axes from the last.
func gridSample(c *call) *lazy.Tensor {
	x, grid := c.t(0), c.t(1)
	if c.err != nil {
		return nil
	}
	xs, gs := x.Shape(), grid.Shape()
	if len(xs) < 3 || len(gs) != len(xs) || len(xs) > 5 {
		c.failf("%w: samples of %v at %v", ErrMalformed, xs, gs)
		return nil
	}
	axes := len(xs) - 2
	sizes, ok := constants(xs[2:])
	if !ok || !gs[axes+1].Is(axes) || slices.Contains(sizes, 0) || count(sizes) > 1<<30 {
		c.failf("samples of %v at %v", xs, gs)
		return nil
	}
	g := &gridSampler{
		c: c, sizes: sizes, padding: c.attrString("padding_mode", "zeros"), align: c.attrBool("align_corners", false),
		n: xs[0], ch: xs[1], points: gs[1 : axes+1].Elements(),
	}
	g.image = reshapeTo(x, plan.Shape{g.n, g.ch, plan.C(count(sizes))})
	points := reshapeTo(grid, plan.Shape{g.n, g.points, plan.C(axes)})
	var taps [][]tap
	mode := c.attrString("mode", "linear")
	for axis, size := range sizes {
		p := lazy.SliceN(points, 2, axes-1-axis, axes-axis)
		taps = append(taps, g.taps(reshapeTo(p, plan.Shape{g.n, g.points}), size, mode))
	}
	if c.err != nil {
		return nil
	}
	y := g.sum(taps, nil, nil)
	if y == nil || y.Err() != nil {
		return y
	}
	return reshapeTo(y, append(plan.Shape{g.n, g.ch}, gs[1:axes+1]...))
}

// tap is one of the pixels along an axis that a point is made of: its index, and
// what it weighs; nil for one.
type tap struct{ index, weight *lazy.Tensor }

// taps are the pixels of points p [n, points] along an axis.
func (g *gridSampler) taps(p *lazy.Tensor, size int, mode string) []tap {
	c := g.c
	lo, hi := -0.5, float64(size)-0.5
	if g.align {
		lo, hi = 0, float64(size-1)
		p = lazy.Mul(lazy.Add(p, c.num(1)), c.num(float64(size-1)/2))
	} else {
		p = lazy.Div(lazy.Sub(lazy.Mul(lazy.Add(p, c.num(1)), c.num(float64(size))), c.num(1)), c.num(2))
	}
	if mode == "nearest" {
		p = lazy.Round(p)
	}
	outside := lazy.Or(lazy.Less(p, c.num(lo)), lazy.Greater(p, c.num(hi)))
	switch g.padding {
	case "border":
		p = lazy.Where(outside, lazy.Clip(p, 0, float32(size-1)), p)
	case "reflection":
		p = lazy.Where(outside, g.reflected(p, lo, hi), p)
	case "zeros":
	default:
		c.failf("%w: padding_mode is %.40q", ErrMalformed, g.padding)
		return nil
	}
	first := lazy.Floor(p)
	f := lazy.Sub(p, first)
	one := c.num(1)
	var offsets []float64
	var weights []*lazy.Tensor
	switch mode {
	case "nearest":
		offsets, weights, first = []float64{0}, []*lazy.Tensor{nil}, p
	case "linear", "bilinear":
		offsets, weights = []float64{0, 1}, []*lazy.Tensor{lazy.Sub(one, f), f}
	case "cubic", "bicubic":
		offsets = []float64{-1, 0, 1, 2}
		weights = []*lazy.Tensor{c.farCubic(lazy.Add(f, one)), c.nearCubic(f), c.nearCubic(lazy.Sub(one, f)), c.farCubic(lazy.Sub(c.num(2), f))}
	default:
		c.failf("%w: mode is %.40q", ErrMalformed, mode)
		return nil
	}
	var out []tap
	for i, o := range offsets {
		at := first
		if o != 0 {
			at = lazy.Add(first, c.num(o))
		}
		w := weights[i]
		if g.padding == "zeros" {
			in := lazy.Cast(lazy.And(lazy.GreaterEqual(at, c.num(0)), lazy.LessEqual(at, c.num(float64(size-1)))), plan.F32)
			if w == nil {
				w = in
			} else {
				w = lazy.Mul(w, in)
			}
		}
		if g.padding == "reflection" {
			at = lazy.Where(lazy.Or(lazy.Less(at, c.num(lo)), lazy.Greater(at, c.num(hi))), g.reflected(at, lo, hi), at)
		}
		out = append(out, tap{lazy.Cast(lazy.Clip(at, 0, float32(size-1)), plan.I32), w})
	}
	return out
}

// reflected mirrors points at both borders until they are inside.
func (g *gridSampler) reflected(p *lazy.Tensor, lo, hi float64) *lazy.Tensor {
	c := g.c
	if hi <= lo {
		return lazy.Mul(p, c.num(0))
	}
	span := hi - lo
	// From 0 to twice the span, and back from the middle.
	r := lazy.Mod(lazy.Sub(p, c.num(lo)), c.num(2*span))
	r = lazy.Sub(c.num(span), lazy.Abs(lazy.Sub(r, c.num(span))))
	return lazy.Add(r, c.num(lo))
}

// The cubic convolution of Keys with a of -0.75, up to a distance of one, and of two.
const cubicA = -0.75

func (c *call) nearCubic(x *lazy.Tensor) *lazy.Tensor {
	y := lazy.Sub(lazy.Mul(x, c.num(cubicA+2)), c.num(cubicA+3))
	return lazy.Add(lazy.Mul(lazy.Mul(y, x), x), c.num(1))
}

func (c *call) farCubic(x *lazy.Tensor) *lazy.Tensor {
	y := lazy.Sub(lazy.Mul(x, c.num(cubicA)), c.num(5*cubicA))
	y = lazy.Add(lazy.Mul(y, x), c.num(8*cubicA))
	return lazy.Sub(lazy.Mul(y, x), c.num(4*cubicA))
}

// sum adds the pixels of all combinations of taps of the axes that are left.
func (g *gridSampler) sum(taps [][]tap, index, weight *lazy.Tensor) *lazy.Tensor {
	if len(taps) == 0 {
		at := reshapeTo(index, plan.Shape{g.n, plan.C(1), g.points})
		y := lazy.GatherElements(g.image, expandTo(at, plan.Shape{g.n, g.ch, g.points}), 2)
		if weight == nil {
			return y
		}
		return lazy.Mul(y, reshapeTo(weight, plan.Shape{g.n, plan.C(1), g.points}))
	}
	size := g.sizes[len(g.sizes)-len(taps)]
	var total *lazy.Tensor
	for _, t := range taps[0] {
		at, w := t.index, weight
		if index != nil {
			at = lazy.Add(lazy.Mul(index, g.c.number(plan.I32, float64(size))), at)
		}
		switch {
		case w == nil:
			w = t.weight
		case t.weight != nil:
			w = lazy.Mul(w, t.weight)
		}
		y := g.sum(taps[1:], at, w)
		if total == nil {
			total = y
		} else {
			total = lazy.Add(total, y)
		}
	}
	return total
}

// centerCropPad cuts or pads axes to sizes that are known, around the middle.
func centerCropPad(c *call) *lazy.Tensor {
	x := c.t(0)
	to := c.ints(1)
	if c.err != nil {
		return nil
	}
	axes := c.attrInts("axes")
	if axes == nil {
		axes = from(0, len(x.Shape()))
	}
	axes = c.axes(axes, len(x.Shape()))
	if len(to) != len(axes) {
		c.failf("%w: %d sizes of %d axes", ErrMalformed, len(to), len(axes))
	}
	if c.err != nil {
		return nil
	}
	before, after := make([]int, len(x.Shape())), make([]int, len(x.Shape()))
	for i, a := range axes {
		n, ok := x.Dim(a).Const()
		if !ok || to[i] < 0 {
			c.failf("axis %d of size %v to %d", a, x.Dim(a), to[i])
			return nil
		}
		if more := to[i] - n; more >= 0 {
			before[a], after[a] = more/2, more-more/2
			continue
		}
		start := (n - to[i]) / 2
		x = lazy.SliceN(x, a, start, start+to[i])
	}
	return lazy.Pad(x, before, after, 0)
}

// swiGLU is swish of a gate times a value.
func swiGLU(c *call) *lazy.Tensor {
	a, b := swish(c), c.t(1)
	if c.err != nil {
		return nil
	}
	return lazy.Mul(a, b)
}
