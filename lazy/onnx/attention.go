package onnx

import (
	"math"
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// heads4 is x [b, t, n*d] as [b, n, t, d]; x of four axes has that form already.
func (c *call) heads4(x *lazy.Tensor, n int) *lazy.Tensor {
	s := x.Shape()
	if len(s) == 4 {
		return x
	}
	if len(s) != 3 || n < 1 {
		c.failf("%w: %d heads of %v", ErrMalformed, n, s)
		return nil
	}
	d, ok := s[2].Div(plan.C(n))
	if !ok {
		c.failf("%w: %d heads of %v", ErrMalformed, n, s)
		return nil
	}
	return lazy.Transpose(reshapeTo(x, plan.Shape{s[0], s[1], plan.C(n), d}), 0, 2, 1, 3)
}

// merged is x [b, n, t, d] as [b, t, n*d].
func merged(x *lazy.Tensor) *lazy.Tensor {
	s := x.Shape()
	return reshapeTo(lazy.Transpose(x, 0, 2, 1, 3), plan.Shape{s[0], s[2], s[1].Mul(s[3])})
}

// attention is the operator of operator set 23 and later: scores, soft cap, masks,
// softmax and the product with the values. A row that may attend to nothing is zero.
func attention(c *call) []*value {
	q, k, v := c.t(0), c.t(1), c.t(2)
	past, pastV := c.opt(4), c.opt(5)
	if c.err != nil {
		return nil
	}
	flat := len(q.Shape()) == 3
	q, k, v = c.heads4(q, c.attrInt("q_num_heads", 0)), c.heads4(k, c.attrInt("kv_num_heads", 0)), c.heads4(v, c.attrInt("kv_num_heads", 0))
	if c.err != nil {
		return nil
	}
	if past != nil && pastV != nil {
		k, v = lazy.Concat(2, past, k), lazy.Concat(2, pastV, v)
	}
	for _, t := range []*lazy.Tensor{q, k, v} {
		if t.Err() != nil || len(t.Shape()) != 4 {
			c.failf("%w: attention of %v, %v and %v", ErrMalformed, q.Shape(), k.Shape(), v.Shape())
			return nil
		}
	}
	width, ok := q.Dim(3).Const()
	scale := c.attrFloat("scale", 0)
	if scale == 0 {
		if scale = 1 / math.Sqrt(float64(width)); !ok {
			c.failf("heads of width %v", q.Dim(3))
			return nil
		}
	}
	scores := lazy.Mul(c.grouped(q, lazy.Transpose(k, 0, 1, 3, 2)), c.num(scale))
	shown := []*lazy.Tensor{scores, scores, scores, scores}
	if limit := c.attrFloat("softcap", 0); limit > 0 {
		scores = lazy.Mul(lazy.Tanh(lazy.Div(scores, c.num(limit))), c.num(limit))
		shown[0], shown[1] = scores, scores
	}
	p, masked := c.attended(scores, past, q.Dim(2), k.Dim(2))
	if c.err != nil {
		return nil
	}
	shown[2], shown[3] = masked, p
	y := c.grouped(p, v)
	if y == nil || y.Err() != nil {
		return []*value{{t: y}}
	}
	if flat {
		y = merged(y)
	}
	mode := c.attrInt("qk_matmul_output_mode", 0)
	if mode < 0 || mode > 3 {
		c.failf("%w: qk_matmul_output_mode is %d", ErrMalformed, mode)
		return nil
	}
	return []*value{{t: y}, {t: k}, {t: v}, {t: shown[mode]}}
}

// grouped is the product of a [b, h, m, n] with b [b, hk, n, o]: as many heads of a as
// there are for each one of b share it, without a copy.
func (c *call) grouped(a, b *lazy.Tensor) *lazy.Tensor {
	if a.Err() != nil || b.Err() != nil || a.Dim(1).Equal(b.Dim(1)) {
		return lazy.MatMul(a, b)
	}
	s, t := a.Shape(), b.Shape()
	group, ok := s[1].Div(t[1])
	if !ok {
		c.failf("%w: %v heads for %v", ErrMalformed, s[1], t[1])
		return nil
	}
	y := lazy.MatMul(
		reshapeTo(a, plan.Shape{s[0], t[1], group, s[2], s[3]}),
		reshapeTo(b, plan.Shape{t[0], t[1], plan.C(1), t[2], t[3]}))
	return reshapeTo(y, plan.Shape{s[0], s[1], s[2], t[3]})
}

// attended are the probabilities of scores [b, h, q, k], and the scores with what
// masks them.
func (c *call) attended(scores, past *lazy.Tensor, queries, keys plan.Dim) (p, masked *lazy.Tensor) {
	mask, filled := c.opt(3), c.opt(6)
	left, right := c.attrInt("left_window_size", -1), c.attrInt("right_window_size", -1)
	causal := c.attrBool("is_causal", false)
	if c.err != nil {
		return nil, nil
	}
	offset := plan.C(0) // of the first query among the keys
	if past != nil {
		offset = past.Dim(2)
	}
	if causal && mask == nil && filled == nil && left < 0 && right < 0 && offset.Equal(keys.Sub(queries)) {
		masked = lazy.CausalMask(scores, nil)
		return lazy.Softmax(masked, -1), masked
	}
	var allowed []*lazy.Tensor
	if causal {
		allowed = append(allowed, c.window2(queries, keys, offset, filled, -1, 0))
	}
	if left >= 0 || right >= 0 {
		allowed = append(allowed, c.window2(queries, keys, offset, filled, left, right))
	}
	if filled != nil {
		at := reshapeTo(c.im.g.Range(plan.I64, 0, 1, keys), plan.Shape{plan.C(1), plan.C(1), plan.C(1), keys})
		n := castTo(reshapeTo(filled, plan.Shape{filled.Shape().Elements(), plan.C(1), plan.C(1), plan.C(1)}), plan.I64)
		allowed = append(allowed, lazy.Less(at, n))
	}
	bias := c.padMask(mask, keys)
	if bias != nil && bias.DType() == plan.Bool {
		allowed, bias = append(allowed, bias), nil
	}
	for _, a := range allowed {
		add := lazy.Where(a, c.num(0), c.num(math.Inf(-1)))
		if bias == nil {
			bias = add
		} else {
			bias = lazy.Add(bias, add)
		}
	}
	if bias == nil {
		return lazy.Softmax(scores, -1), scores
	}
	masked = lazy.Add(scores, bias)
	if bias.Err() != nil || masked.Err() != nil || len(bias.Shape()) == 0 {
		return lazy.Softmax(masked, -1), masked
	}
	last := len(bias.Shape()) - 1
	top := reshapeTo(lazy.Max(bias, last), kept(bias.Shape(), []int{last}))
	nothing := lazy.Equal(top, c.num(math.Inf(-1)))
	return lazy.Where(nothing, c.num(0), lazy.Softmax(masked, -1)), masked
}

// window2 says which keys a query may attend to: from left before its own position to
// right after it, -1 for no bound. The first query's position is an offset, or by
// sequence what makes the last one the last of the filled keys.
func (c *call) window2(queries, keys, offset plan.Dim, filled *lazy.Tensor, left, right int) *lazy.Tensor {
	rows := reshapeTo(c.im.g.Range(plan.I64, 0, 1, queries), plan.Shape{queries, plan.C(1)})
	var first *lazy.Tensor
	if filled != nil {
		n := castTo(reshapeTo(filled, plan.Shape{filled.Shape().Elements(), plan.C(1), plan.C(1), plan.C(1)}), plan.I64)
		count, err := c.im.sizesTensor(vector(modelType(plan.I64), scalar{d: queries}), plan.I64)
		if err != nil {
			c.fail(err)
			return nil
		}
		first = lazy.Sub(n, count)
	} else {
		o, err := c.im.sizesTensor(vector(modelType(plan.I64), scalar{d: offset}), plan.I64)
		if err != nil {
			c.fail(err)
			return nil
		}
		first = o
	}
	ahead := lazy.Sub(lazy.Add(rows, first), c.im.g.Range(plan.I64, 0, 1, keys)) // how far a key is before the query
	var ok *lazy.Tensor
	and := func(t *lazy.Tensor) {
		if ok == nil {
			ok = t
		} else {
			ok = lazy.And(ok, t)
		}
	}
	if left >= 0 {
		and(lazy.LessEqual(ahead, c.number(plan.I64, float64(left))))
	}
	if right >= 0 {
		and(lazy.GreaterEqual(ahead, c.number(plan.I64, float64(-right))))
	}
	return ok
}

// padMask is a mask over all keys: those that it does not mention are masked.
func (c *call) padMask(mask *lazy.Tensor, keys plan.Dim) *lazy.Tensor {
	if mask == nil || len(mask.Shape()) == 0 {
		return mask
	}
	last := len(mask.Shape()) - 1
	if mask.Dim(last).Is(1) && !keys.Is(1) {
		return mask
	}
	n, ok := keys.Sub(mask.Dim(last)).Const()
	if !ok {
		c.failf("a mask of %v for %v keys", mask.Shape(), keys)
		return nil
	}
	if n <= 0 {
		return mask
	}
	after := make([]int, last+1)
	after[last] = n
	fill := math.Inf(-1)
	if mask.DType() == plan.Bool {
		fill = 0
	}
	return lazy.Pad(mask, make([]int, last+1), after, fill)
}

// rotaryEmbedding rotates pairs of x [b, h, t, d] or [b, t, h*d] by angles of their
// positions.
func rotaryEmbedding(c *call) *lazy.Tensor {
	x, cos, sin := c.t(0), c.t(1), c.t(2)
	positions := c.opt(3)
	if c.err != nil {
		return nil
	}
	flat := len(x.Shape()) == 3
	x = c.heads4(x, c.attrInt("num_heads", 0))
	if c.err != nil {
		return nil
	}
	if x.Err() != nil || len(x.Shape()) != 4 {
		c.failf("%w: rotation of %v", ErrMalformed, x.Shape())
		return nil
	}
	width, ok := x.Dim(3).Const()
	dims := c.attrInt("rotary_embedding_dim", 0)
	if dims == 0 {
		dims = width
	}
	if !ok || dims < 2 || dims > width || dims%2 != 0 {
		c.failf("rotation of %d of %v", dims, x.Dim(3))
		return nil
	}
	angle := func(t *lazy.Tensor) *lazy.Tensor {
		if positions != nil {
			t = lazy.Gather(t, positions, 0)
		}
		if len(t.Shape()) != 3 {
			c.failf("%w: angles of %v", ErrMalformed, t.Shape())
			return t
		}
		return reshapeTo(t, slices.Insert(slices.Clone(t.Shape()), 1, plan.C(1)))
	}
	cos, sin = angle(cos), angle(sin)
	if c.err != nil {
		return nil
	}
	y := lazy.RoPE(x, cos, sin, lazy.RoPEOptions{Interleaved: c.attrBool("interleaved", false), Dims: dims})
	if flat && y.Err() == nil {
		return merged(y)
	}
	return y
}
