package engine

import "github.com/genie-sdk/go/internal/op"

// jointApart is the work, see [work], that a call of a round may do by itself
// between two joint products. The others wait for it, those that are cancelled too:
// about 10 ms.
const jointApart = 1 << 27

// plainProduct is how much longer a product takes that has no kernel.
const plainProduct = 16

// apart is how much work the call does by itself between two products of a round,
// at most. It was computed at sizes about as large as these.
func (b *binding) apart() float64 {
	if b.apartAt != nil && b.sizesNear(b.apartAt) {
		return b.apartWork
	}
	if b.work == nil {
		b.work = b.worked()
	}
	b.apartAt = append(b.apartAt[:0], b.sizes[:len(b.prog.Symbols())]...)
	steps := make([]float64, len(b.prog.Plan().Steps))
	for _, w := range b.work {
		o := b.prog.Res.Ops[w.index]
		steps[w.index] = work(o, w.in, w.out)
		if m, ok := o.(op.MatMul); ok && m.TransA {
			steps[w.index] *= plainProduct
		}
	}
	b.apartWork = 0
	phase := 0.0
	for i := range b.prog.Groups {
		if b.prog.together.joint[i] {
			phase = 0
			continue
		}
		for _, s := range b.prog.Groups[i].Steps {
			phase += steps[s]
		}
		b.apartWork = max(b.apartWork, phase)
	}
	return b.apartWork
}

// sizesNear reports whether no size has changed by more than an eighth since.
func (b *binding) sizesNear(then []int64) bool {
	for i, n := range then {
		if d := b.sizes[i] - n; d < 0 && -d > n/8 || d > n/8+8 {
			return false
		}
	}
	return true
}
