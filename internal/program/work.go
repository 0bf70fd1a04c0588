package program

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
)

// worked lists the steps that compute something.
func (b *Bound) worked() []stepWork {
	if b.work != nil {
		return b.work
	}
	p := b.prog
	for i := range p.plan.Steps {
		if p.Res.View[i] {
			continue
		}
		s := &p.plan.Steps[i]
		w := stepWork{index: i, out: b.Shape(s.Out)}
		for _, v := range s.In {
			w.in = append(w.in, b.Shape(v))
		}
		b.work = append(b.work, w)
	}
	return b.work
}

// CheckWork refuses sizes at which a step takes more than limit floating-point
// operations, with [transport.ErrLimit]; 0 is no limit.
func (b *Bound) CheckWork(limit float64) error {
	if limit <= 0 {
		return nil
	}
	for _, w := range b.worked() {
		o := b.prog.Res.Ops[w.index]
		if n := Work(o, w.in, w.out); !(n <= limit) {
			return fmt.Errorf("%w: step %d (%s) takes %.4g floating-point operations, a step may take %.4g", transport.ErrLimit, w.index, o.Name(), n, limit)
		}
	}
	return nil
}

// Work is the arithmetic of a step or, for a step without arithmetic, the
// number of elements that it writes. It is infinite where no float64 can
// represent it.
func Work(o op.Op, in [][]int, out []int) float64 {
	elements := 1.0
	for _, n := range out {
		elements *= float64(n)
	}
	n := max(o.FLOPs(in, out), elements)
	if n != n {
		return math.Inf(1)
	}
	return n
}

// plainProduct is the slowdown of a product without a kernel.
const plainProduct = 16

// Apart is the maximum work, see [Work], that a run does between two joint
// groups. It was computed at sizes about as large as these.
func (b *Bound) Apart(joint []bool) float64 {
	if b.apartSeen && b.sizesNear(b.apartAt) {
		return b.apart
	}
	b.apartAt, b.apartSeen = append(b.apartAt[:0], b.sizes[:len(b.prog.symbols)]...), true
	steps := make([]float64, len(b.prog.plan.Steps))
	for _, w := range b.worked() {
		o := b.prog.Res.Ops[w.index]
		steps[w.index] = Work(o, w.in, w.out)
		if m, ok := o.(op.MatMul); ok && m.TransA {
			steps[w.index] *= plainProduct
		}
	}
	b.apart = 0
	stretch := 0.0
	for i := range b.prog.Groups {
		if joint[i] {
			stretch = 0
			continue
		}
		for _, s := range b.prog.Groups[i].Steps {
			stretch += steps[s]
		}
		b.apart = max(b.apart, stretch)
	}
	return b.apart
}

// sizesNear reports whether no size has changed by more than an eighth since.
func (b *Bound) sizesNear(then []int64) bool {
	for i, n := range then {
		if d := b.sizes[i] - n; d < 0 && -d > n/8 || d > n/8+8 {
			return false
		}
	}
	return true
}
