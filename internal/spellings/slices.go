package spellings

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// slice is positions start to stop of an axis, to its end where stop is not
// said; negative numbers count from the end. With a step n, which divides what
// is left, it is every n-th of them, by reshape, slice and reshape.
func (b *builder) slice(n node) (*lazy.Tensor, error) {
	x, err := b.one(n)
	if err != nil {
		return nil, err
	}
	v, _ := n.attr("axis")
	axis, err := b.axis(v, len(x.Shape()))
	if err != nil {
		return nil, err
	}
	start, stop := plan.C(0), x.Dim(axis)
	for _, p := range []struct {
		key string
		to  *plan.Dim
	}{{"start", &start}, {"stop", &stop}} {
		if v, ok := n.attr(p.key); ok {
			d, err := b.dim(v)
			if err != nil {
				return nil, err
			}
			if c, ok := d.Const(); ok && c < 0 {
				d = x.Dim(axis).Add(d)
			}
			*p.to = d
		}
	}
	step := 1
	if v, ok := n.attr("step"); ok {
		if step, err = b.whole(v); err != nil {
			return nil, err
		}
	}
	if step == 1 {
		return lazy.Slice(x, axis, start, stop), nil
	}
	return strided(x, axis, start, stop, step, n.at)
}

func strided(x *lazy.Tensor, axis int, start, stop plan.Dim, step int, at pos) (*lazy.Tensor, error) {
	first, ok := start.Const()
	count, whole := x.Dim(axis).Div(plan.C(step))
	if !ok || !whole || step < 1 || first >= step || !stop.Equal(x.Dim(axis)) {
		return nil, at.errorf("a step %d from %v to %v of an axis of %v", step, start, stop, x.Dim(axis))
	}
	s := slices.Clone(x.Shape())
	s[axis] = count
	x = lazy.Apply(op.Reshape{Shape: slices.Insert(slices.Clone(s), axis+1, plan.C(step))}, x)
	x = lazy.SliceN(x, axis+1, first, first+1)
	return lazy.Apply(op.Reshape{Shape: s}, x), nil
}

// split is equal parts of an axis, or parts of the sizes that it is given.
func (b *builder) split(n node) ([]*lazy.Tensor, error) {
	x, err := b.one(n)
	if err != nil {
		return nil, err
	}
	v, _ := n.attr("axis")
	axis, err := b.axis(v, len(x.Shape()))
	if err != nil {
		return nil, err
	}
	var out []*lazy.Tensor
	if v, ok := n.attr("parts"); ok {
		parts, err := b.whole(v)
		if err != nil {
			return nil, err
		}
		out = lazy.Split(x, parts, axis)
	} else {
		sizes, err := b.shape(n.shapeAttr("sizes"))
		if err != nil {
			return nil, err
		}
		at := plan.C(0)
		for _, s := range sizes {
			out = append(out, lazy.Slice(x, axis, at, at.Add(s)))
			at = at.Add(s)
		}
	}
	for _, t := range out {
		if _, err := b.check(t, n.at); err != nil {
			return nil, err
		}
	}
	return out, nil
}
