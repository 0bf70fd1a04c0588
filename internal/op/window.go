package op

import "github.com/genie-sdk/go/transport/plan"

// window is the geometry of a filter or a pool along one axis.
type window struct {
	size, stride, before, after, dilation int
	// ceil: a last window may begin within the image, or the padding before it,
	// and end outside of the padded image.
	ceil bool
}

// maxWindow bounds the numbers of a window.
const maxWindow = 1 << 16

func (w window) check() error {
	if w.size < 1 || w.stride < 1 || w.dilation < 1 || min(w.before, w.after) < 0 ||
		max(w.size, w.stride, w.dilation, w.before, w.after) > maxWindow {
		return shapeErr("kernel %d, stride %d, padding %d and %d, dilation %d", w.size, w.stride, w.before, w.after, w.dilation)
	}
	return nil
}

// reach is the number of positions from the first element of a window to its
// last.
func (w window) reach() int { return w.dilation * (w.size - 1) }

// span is how far the first window can move in an axis of n elements. It must
// not be negative.
func (w window) span(n plan.Dim) plan.Dim { return n.Add(plan.C(w.before + w.after - w.reach() - 1)) }

// count is the number of windows in an axis of n elements, which may be
// symbolic.
func (w window) count(n plan.Dim) (plan.Dim, error) {
	if err := w.check(); err != nil {
		return plan.Dim{}, err
	}
	span := w.span(n)
	if s, ok := span.Const(); ok && s < 0 {
		return plan.Dim{}, shapeErr("kernel %d with dilation %d on size %v, padding %d and %d", w.size, w.dilation, n, w.before, w.after)
	}
	floor := span.FloorDiv(w.stride).Add(plan.C(1))
	if !w.ceil {
		return floor, nil
	}
	more := span.Add(plan.C(w.stride - 1)).FloorDiv(w.stride).Add(plan.C(1))
	// The last window must begin before the padding at the end: that is so at
	// every size if the stride is not longer than the window without padding.
	if size, ok := n.Const(); ok {
		if last, _ := more.Const(); (last-1)*w.stride >= size+w.before {
			return floor, nil
		}
		return more, nil
	}
	if w.stride+w.after > w.reach()+1 {
		return plan.Dim{}, shapeErr("windows of %d with stride %d and padding %d, rounded up, on an axis %v of unknown size", w.size, w.stride, w.after, n)
	}
	return more, nil
}
