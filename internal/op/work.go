package op

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// MaxPlanWork bounds the work of checking and laying out one plan. It counts
// about one unit per product of two terms in its shapes and strides, at each
// step that reads or writes them, and heldWork for each symbol and number of
// the strides, which stay in memory. A plan with the maximum number of entries,
// in shapes like those of attention, needs about half of it.
const (
	MaxPlanWork = 1 << 26
	heldWork    = 8
)

// workTurn is the work between two checks whether to continue.
const workTurn = 1 << 11

// Work counts the cost of checking a plan. It belongs to one goroutine; a nil
// Work counts nothing.
type Work struct {
	left  int
	since int          // the last pause
	pause func() error // may be nil
	err   error
}

// NewWork allows [MaxPlanWork]. It calls pause at intervals; an error from
// pause ends the work. Pause may return a context's error or yield to others.
func NewWork(pause func() error) *Work { return &Work{left: MaxPlanWork, pause: pause} }

// Spend counts n and reports whether to continue. An error,
// [transport.ErrLimit] or that of the pause, is repeated by each later call.
func (w *Work) Spend(n int) error {
	if w == nil || w.err != nil {
		return w.stopped()
	}
	w.left, w.since = w.left-n, w.since+n
	switch {
	case w.left < 0:
		w.err = fmt.Errorf("%w: the shapes of the plan take more than %d products of terms to check", transport.ErrLimit, MaxPlanWork)
	case w.since >= workTurn && w.pause != nil:
		w.since, w.err = 0, w.pause()
	}
	return w.err
}

// Spent is the work so far.
func (w *Work) Spent() int { return MaxPlanWork - w.left }

func (w *Work) stopped() error {
	if w == nil {
		return nil
	}
	return w.err
}

// work is the cost of reading a value of this shape and layout: its strides
// were computed as products of its dimensions, and inferring a shape from it
// multiplies and compares them again.
func (l Layout) work(shape plan.Shape) int {
	n := 1
	for i, d := range shape {
		n += d.NumTerms() * l.Strides[i].NumTerms()
	}
	return n + l.Offset.NumTerms()
}

// held is the work that goes with the memory of a layout.
func (l Layout) held() int {
	n := l.Offset.Factors()
	for _, d := range l.Strides {
		n += d.Factors()
	}
	return heldWork * n
}
