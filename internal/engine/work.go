package engine

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
)

// stepWork is the shapes of a step, as a binding has them.
type stepWork struct {
	index int // in the plan
	in    [][]int
	out   []int
}

// worked lists the steps of a binding that do something, for [binding.checkWork].
func (b *binding) worked() []stepWork {
	p := b.prog
	var out []stepWork
	for i := range p.Plan().Steps {
		if p.Res.View[i] {
			continue
		}
		s := &p.Plan().Steps[i]
		w := stepWork{index: i, out: b.dims[p.Places[s.Out].Shape]}
		for _, v := range s.In {
			w.in = append(w.in, b.dims[p.Places[v].Shape])
		}
		out = append(out, w)
	}
	return out
}

// checkWork refuses sizes at which a step takes more than limit, before anything
// of the call has run; 0 is no limit.
func (b *binding) checkWork(limit float64) error {
	if limit <= 0 {
		return nil
	}
	if b.work == nil {
		b.work = b.worked()
	}
	for _, w := range b.work {
		o := b.prog.Res.Ops[w.index]
		if n := work(o, w.in, w.out); !(n <= limit) {
			return fmt.Errorf("%w: step %d (%s) takes %.4g floating-point operations, a step may take %.4g", transport.ErrLimit, w.index, o.Name(), n, limit)
		}
	}
	return nil
}

// work is the arithmetic of a step, and for one that does none the number of
// elements that it writes. It is infinite where no float64 holds it.
func work(o op.Op, in [][]int, out []int) float64 {
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
