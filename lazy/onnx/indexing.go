package onnx

import (
	"slices"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// gatherAxis selects positions along an axis. Rows of a matrix are an embedding,
// of which programs know more.
func (c *call) gatherAxis(x, index *lazy.Tensor, axis int) *lazy.Tensor {
	if axis == 0 && len(x.Shape()) == 2 && x.DType() == plan.F32 && x.Kind() == lazy.KindWeight && !c.negatives(index) {
		return lazy.Embedding(x, index)
	}
	return lazy.Gather(x, index, axis)
}

// negatives reports whether an index may count from the end, as far as it is known: an
// input of token ids does not.
func (c *call) negatives(index *lazy.Tensor) bool {
	a, err := c.im.evaluate(index, 0)
	if err != nil {
		return index.Kind() != lazy.KindInput
	}
	for i := range a.Len() {
		if a.Int(i) < 0 {
			return true
		}
	}
	return false
}

// gather takes one position as a slice where it is known, so that what is before it
// keeps its meaning.
func gather(c *call) *lazy.Tensor {
	x := c.t(0)
	axis := c.axis(c.attrInt("axis", 0), c.rank())
	if c.err != nil {
		return nil
	}
	index := c.value(1)
	if c.err != nil {
		return nil
	}
	if e, err := c.im.constantElements(index); err == nil && len(e.v) == 1 {
		if at, ok := position(e.v[0].d, x.Dim(axis)); ok && !e.v[0].isF {
			y := lazy.Slice(x, axis, at, at.Add(plan.C(1)))
			return reshapeTo(y, slices.Concat(x.Shape()[:axis], static(e.shape), x.Shape()[axis+1:]))
		}
	}
	at := c.t(1)
	if c.err != nil {
		return nil
	}
	return c.gatherAxis(x, at, axis)
}

// position is a place on an axis that is surely inside.
func position(at, n plan.Dim) (plan.Dim, bool) {
	at = fromEnd(at, n)
	return at, nonNegative(at) && above(n, at) || fromLast(at, n)
}

// fromLast reports whether a place counts from the end of an axis with symbols: a run
// checks that it is inside.
func fromLast(at, n plan.Dim) bool {
	k, ok := n.Sub(at).Const()
	return ok && k > 0
}

func gatherElements(c *call) *lazy.Tensor {
	x, index := c.t(0), c.t(1)
	axis := c.axis(c.attrInt("axis", 0), c.rank())
	if c.err != nil {
		return nil
	}
	return lazy.GatherElements(x, index, axis)
}

func gatherND(c *call) *lazy.Tensor {
	x, index := c.t(0), c.t(1)
	if c.err != nil {
		return nil
	}
	return lazy.GatherND(x, index, c.attrInt("batch_dims", 0))
}

// combine is what a scatter does with an update.
func (c *call) combine() lazy.Combine {
	switch kind := c.attrString("reduction", "none"); kind {
	case "none":
		return lazy.CombineNone
	case "add":
		return lazy.CombineAdd
	case "mul":
		return lazy.CombineMul
	case "min":
		return lazy.CombineMin
	case "max":
		return lazy.CombineMax
	default:
		c.failf("%w: reduction %.40q", ErrMalformed, kind)
		return lazy.CombineNone
	}
}

func scatterElements(c *call) *lazy.Tensor {
	x, index, updates := c.t(0), c.t(1), c.t(2)
	axis, how := c.axis(c.attrInt("axis", 0), c.rank()), c.combine()
	if c.err != nil {
		return nil
	}
	return lazy.ScatterElements(x, index, updates, axis, how)
}

func scatterND(c *call) *lazy.Tensor {
	x, index, updates := c.t(0), c.t(1), c.t(2)
	how := c.combine()
	if c.err != nil {
		return nil
	}
	return lazy.ScatterND(x, index, updates, how)
}

// tensorScatter writes rows into a cache, by sequence of the batch from a position of
// its own on.
func tensorScatter(c *call) *lazy.Tensor {
	cache, update, at := c.t(0), c.t(1), c.opt(2)
	axis := c.axis(c.attrInt("axis", -2), c.rank())
	mode := c.attrString("mode", "linear")
	if c.err != nil {
		return nil
	}
	s, u := cache.Shape(), update.Shape()
	if len(u) != len(s) || axis == 0 {
		c.failf("%w: %v into %v", ErrMalformed, u, s)
		return nil
	}
	rows := c.im.g.Range(plan.I64, 0, 1, u[axis])
	start := at
	if start == nil {
		start = expandTo(c.number(plan.I64, 0), plan.Shape{s[0]})
	}
	// Positions [b, rows], and from them an index for each element.
	index := lazy.Add(reshapeTo(start, plan.Shape{s[0], plan.C(1)}), reshapeTo(rows, plan.Shape{plan.C(1), u[axis]}))
	if mode == "circular" {
		n, ok := s[axis].Const()
		if !ok {
			c.failf("a circular cache of %v rows", s[axis])
			return nil
		}
		index = lazy.Mod(index, c.number(plan.I64, float64(n)))
	}
	wide := make(plan.Shape, len(s))
	for i := range wide {
		wide[i] = plan.C(1)
	}
	wide[0], wide[axis] = s[0], u[axis]
	return lazy.ScatterElements(cache, expandTo(reshapeTo(index, wide), u), update, axis, lazy.CombineNone)
}

// argSelect is the index of the largest or smallest element; the last of several is
// found from the other end.
func argSelect(f func(x *lazy.Tensor, axis int) *lazy.Tensor) func(c *call) *lazy.Tensor {
	return func(c *call) *lazy.Tensor {
		x := c.t(0)
		axis := c.axis(c.attrInt("axis", 0), c.rank())
		if c.err != nil {
			return nil
		}
		last := c.attrBool("select_last_index", false)
		var end *lazy.Tensor
		if last {
			x = lazy.Flip(x, axis)
			n := vector(onnxfile.Int64, scalar{d: c.shape(0)[axis].Sub(plan.C(1))})
			t, err := c.im.sizesTensor(n, plan.I64)
			if err != nil {
				c.fail(err)
				return nil
			}
			end = t
		}
		y := lazy.Cast(f(x, axis), plan.I64)
		if last {
			y = reshapeTo(lazy.Sub(end, y), y.Shape())
		}
		if y.Err() != nil || !c.attrBool("keepdims", true) {
			return y
		}
		return reshapeTo(y, kept(x.Shape(), []int{axis}))
	}
}

// topK works on the last axis; the smallest are the largest of the negated.
func topK(c *call) []*value {
	x := c.t(0)
	axis := c.axis(c.attrInt("axis", -1), c.rank())
	k := c.attrInt("k", -1)
	if c.opset >= 10 {
		k = int(c.scalar(1))
	}
	if c.err == nil && x.DType() != plan.F32 {
		c.failf("the largest of %v", x.DType())
	}
	if c.err != nil {
		return nil
	}
	rank := len(x.Shape())
	perm := from(0, rank)
	perm[axis], perm[rank-1] = perm[rank-1], perm[axis]
	largest := c.attrBool("largest", true)
	if axis != rank-1 {
		x = lazy.Transpose(x, perm...)
	}
	if !largest {
		x = lazy.Neg(x)
	}
	v, i := lazy.TopK(x, k)
	if !largest {
		v = lazy.Neg(v)
	}
	if axis != rank-1 && v.Err() == nil {
		v, i = lazy.Transpose(v, perm...), lazy.Transpose(i, perm...)
	}
	return []*value{{t: v}, {t: lazy.Cast(i, plan.I64)}}
}

// oneHot has the new axis anywhere, and values of any type: off and on.
func oneHot(c *call) *lazy.Tensor {
	index, values := c.t(0), c.t(2)
	depth := int(c.scalar(1))
	axis := c.axis(c.attrInt("axis", -1), c.rank()+1)
	if c.err != nil {
		return nil
	}
	if depth < 1 || depth > 1<<24 {
		c.failf("%w: depth %d", ErrMalformed, depth)
		return nil
	}
	if index.DType() == plan.F32 {
		index = lazy.Cast(index, plan.I64)
	}
	s := index.Shape()
	wide := slices.Insert(slices.Clone(s), axis, plan.C(1))
	along := make(plan.Shape, len(wide))
	for i := range along {
		along[i] = plan.C(1)
	}
	along[axis] = plan.C(depth)
	at := reshapeTo(index, wide)
	positions := func(first int) *lazy.Tensor {
		return reshapeTo(c.im.g.Range(index.DType(), first, 1, depth), along)
	}
	hot := lazy.Or(lazy.Equal(at, positions(0)), lazy.Equal(at, positions(-depth)))
	off, on := lazy.SliceN(values, 0, 0, 1), lazy.SliceN(values, 0, 1, 2)
	return lazy.Where(hot, on, off)
}

// padded is Pad with amounts that are known.
func pad(c *call) *lazy.Tensor {
	x := c.t(0)
	amounts, ok := c.listOf("pads")
	if c.hasAttr("paddings") {
		amounts, ok = c.attrInts("paddings"), true
	}
	mode := c.attrString("mode", "constant")
	fill := c.attrFloat("value", 0)
	if c.opset >= 11 && c.has(2) {
		fill = c.scalar(2)
	}
	if c.err != nil {
		return nil
	}
	rank := len(x.Shape())
	axes := from(0, rank)
	if c.has(3) {
		axes = c.axes(c.ints(3), rank)
	}
	if !ok || len(amounts) != 2*len(axes) {
		c.failf("%w: %d amounts for %d axes", ErrMalformed, len(amounts), len(axes))
	}
	if c.err != nil {
		return nil
	}
	before, after := make([]int, rank), make([]int, rank)
	for i, a := range axes {
		before[a], after[a] = amounts[i], amounts[len(axes)+i]
	}
	switch mode {
	case "constant":
		return lazy.Pad(x, before, after, fill)
	case "reflect":
		return lazy.PadWith(x, lazy.PadReflect, before, after)
	case "edge":
		return lazy.PadWith(x, lazy.PadEdge, before, after)
	case "wrap":
		return lazy.PadWith(x, lazy.PadWrap, before, after)
	}
	c.failf("%w: mode %.40q", ErrMalformed, mode)
	return nil
}

// tile repeats each axis a known number of times.
func tile(c *call) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	if c.opset < 6 {
		c.failf("Tile of operator set %d", c.opset)
		return nil
	}
	return lazy.Tile(x, c.ints(1)...)
}

// trilu keeps a triangle of each matrix.
func trilu(c *call) *lazy.Tensor {
	x := c.t(0)
	k := 0
	if c.has(1) {
		k = int(c.scalar(1))
	}
	if c.err != nil {
		return nil
	}
	if c.attrBool("upper", true) {
		return lazy.Triu(x, k)
	}
	return lazy.Tril(x, k)
}

func cumSum(c *call) *lazy.Tensor {
	x := c.t(0)
	axis := c.axis(int(c.scalar(1)), c.rank())
	if c.err != nil {
		return nil
	}
	return lazy.CumSumOf(x, axis, c.attrBool("exclusive", false), c.attrBool("reverse", false))
}

// rangeOf counts from known numbers. A number of steps that a symbol gives is one of
// step 1 from a constant.
func rangeOf(c *call) *lazy.Tensor {
	v := c.in
	if len(v) != 3 {
		c.failf("%w: %d inputs", ErrMalformed, len(v))
		return nil
	}
	dt := c.spec(0).DType
	start, limit, step := c.elems(0), c.elems(1), c.elems(2)
	if c.err != nil {
		return nil
	}
	if len(start.v) != 1 || len(limit.v) != 1 || len(step.v) != 1 {
		c.failf("%w: a range of no numbers", ErrMalformed)
		return nil
	}
	return c.counted(dt, start.v[0], limit.v[0], step.v[0])
}
