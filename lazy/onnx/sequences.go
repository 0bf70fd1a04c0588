package onnx

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Sequences have a length that is known while the model is read; they are lists of
// values and no tensors of the program.

// sequence is input i, which must be one.
func (c *call) sequence(i int) []*value {
	v := c.value(i)
	if c.err == nil && !v.isSeq {
		c.fail(fmt.Errorf("%w: %q is no sequence", ErrMalformed, v.name))
	}
	return v.seq
}

func sequenceOf(vs []*value) []*value { return []*value{{isSeq: true, seq: vs}} }

func sequenceConstruct(c *call) []*value {
	for i := range c.in {
		c.value(i)
	}
	return sequenceOf(c.in)
}

func sequenceEmpty(*call) []*value { return sequenceOf(nil) }

func sequenceLength(c *call) []*value {
	n := len(c.sequence(0))
	return []*value{{elems: &elems{dt: onnxfile.Int64, v: []scalar{whole(int64(n))}}}}
}

// place is a known position in a sequence of n, which input i gives: up to a last
// one, or from the end.
func (c *call) place(i, n, last int) int {
	at := int(c.scalar(i))
	if at < 0 {
		at += n
	}
	if c.err == nil && (at < 0 || at > last) {
		c.failf("%w: position %d in a sequence of %d", ErrMalformed, at, n)
	}
	return at
}

func sequenceAt(c *call) []*value {
	s := c.sequence(0)
	at := c.place(1, len(s), len(s)-1)
	if c.err != nil {
		return nil
	}
	return []*value{s[at]}
}

func sequenceInsert(c *call) []*value {
	s, v := c.sequence(0), c.value(1)
	at := len(s)
	if c.has(2) {
		at = c.place(2, len(s), len(s))
	}
	if c.err != nil {
		return nil
	}
	if len(s) >= maxElems {
		c.failf("a sequence of more than %d", maxElems)
		return nil
	}
	return sequenceOf(slices.Insert(slices.Clone(s), at, v))
}

func sequenceErase(c *call) []*value {
	s := c.sequence(0)
	at := len(s) - 1
	if c.has(1) || len(s) == 0 {
		at = c.place(1, len(s), len(s)-1)
	}
	if c.err != nil {
		return nil
	}
	return sequenceOf(slices.Delete(slices.Clone(s), at, at+1))
}

func splitToSequence(c *call) []*value {
	x := c.t(0)
	axis := c.axis(c.attrInt("axis", 0), c.rank(0))
	if c.err != nil {
		return nil
	}
	n, ok := x.Dim(axis).Const()
	var parts []int
	switch {
	case !ok:
		c.failf("an axis of size %v", x.Dim(axis))
		return nil
	case !c.has(1):
		parts = slices.Repeat([]int{1}, n)
	default:
		parts = c.ints(1)
		if e := c.elems(1); len(e.shape) == 0 && c.err == nil {
			each := parts[0]
			if each < 1 {
				c.failf("%w: parts of %d", ErrMalformed, each)
				return nil
			}
			parts = nil
			for at := 0; at < n && len(parts) <= maxElems; at += each {
				parts = append(parts, min(each, n-at))
			}
		}
	}
	if c.err == nil && len(parts) > maxElems {
		c.failf("a sequence of more than %d", maxElems)
	}
	if c.err != nil {
		return nil
	}
	var out []*value
	at := 0
	for _, p := range parts {
		t := lazy.SliceN(x, axis, at, at+p)
		if t.Err() == nil && !c.has(1) && !c.attrBool("keepdims", true) {
			t = reshapeTo(t, without(t.Shape(), []int{axis}))
		}
		if t.Err() != nil {
			c.fail(t.Err())
			return nil
		}
		out = append(out, &value{t: t})
		at += p
	}
	return sequenceOf(out)
}

func concatFromSequence(c *call) *lazy.Tensor {
	xs := c.tensors(c.sequence(0))
	if c.err == nil && len(xs) == 0 {
		c.failf("%w: an empty sequence", ErrMalformed)
	}
	if c.err != nil {
		return nil
	}
	rank := len(xs[0].Shape())
	axis := c.attrInt("axis", 0)
	if !c.attrBool("new_axis", false) {
		axis = c.axis(axis, rank)
		if c.err != nil {
			return nil
		}
		return concatAll(axis, xs)
	}
	axis = c.axis(axis, rank+1)
	if c.err != nil {
		return nil
	}
	wide := make([]*lazy.Tensor, len(xs))
	for i, x := range xs {
		if len(x.Shape()) != rank {
			c.failf("%w: a sequence of %v and %v", ErrMalformed, xs[0].Shape(), x.Shape())
			return nil
		}
		wide[i] = reshapeTo(x, slices.Insert(slices.Clone(x.Shape()), axis, plan.C(1)))
	}
	return concatAll(axis, wide)
}

// optionalHasElement is known: an optional value that is a tensor has one.
func optionalHasElement(c *call) []*value {
	return []*value{{elems: &elems{dt: onnxfile.Bool, v: []scalar{truth(c.has(0))}}}}
}

// reverseSequence reverses the beginning of each sequence of a batch, as far as its
// length says.
func reverseSequence(c *call) *lazy.Tensor {
	x, lengths := c.t(0), c.t(1)
	batch, time := c.axis(c.attrInt("batch_axis", 1), c.rank(0)), c.axis(c.attrInt("time_axis", 0), c.rank(0))
	if c.err != nil {
		return nil
	}
	s := x.Shape()
	if batch == time || len(lengths.Shape()) != 1 {
		c.failf("%w: axes %d and %d of %v", ErrMalformed, batch, time, s)
		return nil
	}
	along := func(t *lazy.Tensor, axis int) *lazy.Tensor {
		w := make(plan.Shape, len(s))
		for i := range w {
			w[i] = plan.C(1)
		}
		w[axis] = s[axis]
		return reshapeTo(t, w)
	}
	at := along(c.im.g.Range(plan.I64, 0, 1, s[time]), time)
	n := along(castTo(lengths, plan.I64), batch)
	index := lazy.Where(lazy.Less(at, n), lazy.Sub(lazy.Sub(n, c.number(plan.I64, 1)), at), at)
	return lazy.GatherElements(x, expandTo(index, s), time)
}

// affineGrid is the points of a grid moved by matrices theta [n, axes, axes+1].
func affineGrid(c *call) *lazy.Tensor {
	theta := c.t(0)
	size := c.ints(1)
	if c.err != nil {
		return nil
	}
	axes := len(size) - 2
	if axes < 2 || axes > 3 || count(size[2:]) > maxTable {
		c.failf("%w: a grid of %v", ErrMalformed, size)
		return nil
	}
	points := count(size[2:])
	align := c.attrBool("align_corners", false)
	// Row i of the table is coordinate i of each point, the last axis first, then one.
	table := c.table(func(i int) float64 {
		row, p := i/points, i%points
		if row == axes {
			return 1
		}
		axis := axes - 1 - row
		for a := axes - 1; a > axis; a-- {
			p /= size[2+a]
		}
		n := size[2+axis]
		k := float64(p % n)
		if align {
			return -1 + 2*k/float64(max(n-1, 1))
		}
		return -1 + (2*k+1)/float64(n)
	}, axes+1, points)
	if c.err != nil {
		return nil
	}
	y := lazy.Transpose(lazy.MatMul(theta, table), 0, 2, 1)
	if y.Err() != nil {
		return y
	}
	return reshapeTo(y, append(append(plan.Shape{y.Dim(0)}, static(size[2:])...), plan.C(axes)))
}
