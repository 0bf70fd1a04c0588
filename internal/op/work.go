package op

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// MaxPlanWork bounds what it takes to check and lay out one plan: about the
// products of two terms that its shapes and strides are multiplied from, counted
// at each step that reads or writes them, and heldWork for each symbol and number
// of the strides, which are held. A plan with as many entries as a plan may have,
// in shapes like those of attention, comes to half of it.
const (
	MaxPlanWork = 1 << 26
	heldWork    = 8
)

// workTurn is the work between two looks at whether to go on.
const workTurn = 1 << 11

// Work counts what the checks of a plan cost. It is of one goroutine; a nil Work
// counts nothing.
type Work struct {
	left  int
	since int          // the last pause
	pause func() error // may be nil
	err   error
}

// NewWork allows [MaxPlanWork]. Now and then it calls pause, whose error ends the
// work: for the end of a context, or to let others go first.
func NewWork(pause func() error) *Work { return &Work{left: MaxPlanWork, pause: pause} }

// Spend counts n and says whether to go on. An error, [transport.ErrLimit] or
// that of the pause, is given at each later call too.
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

// work is what reading a value of this shape and layout costs: its strides were
// made of products with its dimensions, and whoever infers a shape from it
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
