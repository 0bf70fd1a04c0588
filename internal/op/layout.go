package op

import (
	"fmt"

	"github.com/genie-sdk/go/transport/plan"
)

// Layout is where the elements of a value are stored in the memory of its base:
// strides and offset in elements, symbolic like the shapes.
type Layout struct {
	Strides []plan.Dim
	Offset  plan.Dim
	Dense   bool // row-major without gaps; offset 0 not implied
}

// DenseLayout is the row-major layout of shape.
func DenseLayout(shape plan.Shape) Layout {
	l := Layout{Strides: make([]plan.Dim, len(shape)), Dense: true}
	for i := len(shape) - 1; i >= 0; i-- {
		if l.Strides[i] = plan.C(1); i+1 < len(shape) {
			l.Strides[i] = l.Strides[i+1].Mul(shape[i+1])
		}
	}
	return l
}

// Err is an error that wraps [ErrShape] when strides or offset exceed the
// limits of arithmetic on dimensions.
func (l Layout) Err() error {
	err := l.Offset.Err()
	for i := range l.Strides {
		if err == nil {
			err = l.Strides[i].Err()
		}
	}
	if err != nil {
		return fmt.Errorf("%w: strides or offset: %w", ErrShape, err)
	}
	return nil
}

// ChannelsLast is the layout of an image batch [n, c, h, w] with adjacent
// channels: the memory of [n, h, w, c].
func ChannelsLast(shape plan.Shape) Layout {
	c, h, w := shape[1], shape[2], shape[3]
	return Layout{Strides: []plan.Dim{c.Mul(h).Mul(w), plan.C(1), c.Mul(w), c}}
}

// IsChannelsLast reports whether a value of this shape has the layout
// [ChannelsLast].
func (l Layout) IsChannelsLast(shape plan.Shape) bool {
	if len(shape) != 4 || !l.Offset.Is(0) {
		return false
	}
	for i, st := range ChannelsLast(shape).Strides {
		if !st.Equal(l.Strides[i]) {
			return false
		}
	}
	return true
}

// reshapeLayout finds strides for to over from's memory. It matches dimensions
// group by group; within a group the old ones must be dense.
func reshapeLayout(from plan.Shape, l Layout, to plan.Shape) (Layout, bool) {
	if l.Dense {
		r := DenseLayout(to)
		r.Offset = l.Offset
		return r, true
	}
	out := Layout{Strides: make([]plan.Dim, len(to)), Offset: l.Offset}
	oi, ni := 0, 0
	for oi < len(from) && ni < len(to) {
		o0, n0 := oi, ni
		op, np := from[oi], to[ni]
		oi, ni = oi+1, ni+1
		for !op.Equal(np) {
			if _, ok := op.Div(np); ok && ni < len(to) {
				np = np.Mul(to[ni])
				ni++
			} else if _, ok := np.Div(op); ok && oi < len(from) {
				op = op.Mul(from[oi])
				oi++
			} else {
				return Layout{}, false
			}
		}
		for i := o0; i+1 < oi; i++ {
			if !l.Strides[i].Equal(l.Strides[i+1].Mul(from[i+1])) {
				return Layout{}, false
			}
		}
		s := l.Strides[oi-1]
		for i := ni - 1; i >= n0; i-- {
			out.Strides[i] = s
			s = s.Mul(to[i])
		}
	}
	for ; oi < len(from); oi++ {
		if !from[oi].Is(1) {
			return Layout{}, false
		}
	}
	for ; ni < len(to); ni++ {
		if !to[ni].Is(1) {
			return Layout{}, false
		}
		out.Strides[ni] = plan.C(1)
	}
	return out, true
}

// elements is the product of the dimensions.
func elements(s plan.Shape) (plan.Dim, error) {
	n := s.Elements()
	if err := n.Err(); err != nil {
		return plan.Dim{}, shapeErr("the number of elements of %v: %w", s, err)
	}
	return n, nil
}

// broadcast is the NumPy broadcast of two shapes.
func broadcast(a, b plan.Shape) (plan.Shape, error) {
	n := max(len(a), len(b))
	out := make(plan.Shape, n)
	for i := range n {
		x, y := plan.C(1), plan.C(1)
		if j := i - n + len(a); j >= 0 {
			x = a[j]
		}
		if j := i - n + len(b); j >= 0 {
			y = b[j]
		}
		switch {
		case x.Equal(y), y.Is(1):
			out[i] = x
		case x.Is(1):
			out[i] = y
		default:
			return nil, shapeErr("%v and %v do not broadcast: %v against %v", a, b, x, y)
		}
	}
	return out, nil
}
