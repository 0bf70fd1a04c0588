package engine

import (
	"math/bits"
	"unsafe"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// measure computes the heap memory of the program, and of each of its bindings.
func (p *Program) measure() {
	n := int64(4 << 10)
	for i := range p.Plan().Values {
		v := &p.Plan().Values[i]
		n += valueBytes + heapBlock(len(v.Const)) + int64(len(v.Name)) + dimsBytes(v.Spec.Shape) + dimsBytes(p.Res.Layouts[i].Strides)
		if v.Kind == plan.KindWeight {
			n += weightBytes
		}
	}
	for i := range p.Plan().Steps {
		s := &p.Plan().Steps[i]
		n += stepBytes + int64(len(s.In))*inBytes + int64(len(s.Attrs))*attrBytes
		for k := range s.Attrs {
			a := &s.Attrs[k]
			n += int64(len(a.Key)+len(a.Str)) + 8*int64(len(a.Ints)) + dimsBytes(a.Dims)
		}
	}
	n += int64(len(p.Plan().States))*stateBytes + int64(len(p.Plan().Inputs)+len(p.Plan().Outputs))*portBytes
	for c := range p.Classes {
		n += int64(unsafe.Sizeof(program.Class{})) + dimsBytes(p.Classes[c].Text)
	}
	p.size = n + quotientBytes*int64(p.Quotients())
	p.measureBinding()
}

// measureBinding counts what newBinding allocates.
func (p *Program) measureBinding() {
	n := int64(boundBytes) + p.code.RunHeap() +
		int64(len(p.Classes))*boundClassBytes + int64(p.Buffers)*boundBufferBytes +
		int64(len(p.Plan().States))*boundStateBytes + int64(len(p.Plan().Inputs)+len(p.Plan().Outputs))*boundInputBytes + int64(len(p.Plan().Outputs))*smallOutput
	for c := range p.Classes {
		n += 8 * int64(len(p.Classes[c].Dims))
	}
	n += 8 * int64(p.Quotients())
	p.bound = n
}

func dimsBytes(dims []plan.Dim) (n int64) {
	for _, d := range dims {
		n += dimBytes
		d.Terms(func(_ int64, factors []string) {
			n += termBytes + 16*int64(len(factors))
			for _, f := range factors {
				if _, _, ok := plan.Quotient(f); ok { // symbols share their text with the plan's list
					n += int64(len(f))
				}
			}
		})
	}
	return n
}

// heapBlock is the memory of n bytes on the heap: whole pages, or a class that is
// at most an eighth larger.
func heapBlock(n int) int64 {
	const page = 8 << 10
	if n >= 4*page {
		return int64(n+page-1) &^ (page - 1)
	}
	return int64(n + n/8 + bits.Len(uint(n)))
}

// PlanWork is the maximum memory that reading and compiling an encoded plan,
// and its result, take: a bound that is known in advance.
func PlanWork(encoded []byte) int64 {
	content, parts := plan.Weigh(encoded)
	return 64<<10 + 4*content + 25*(int64(len(encoded))-content) + int64(parts)<<10
}

// takeHeap counts the heap memory of kernels, which stays with the binding, and
// returns the increase.
func (b *binding) takeHeap(s *Session, changed uint64) (more int64, err error) {
	if changed == 0 {
		return 0, nil
	}
	if more = b.run.Heap() - b.heap; more <= 0 {
		return 0, nil
	}
	if err := s.charge(more, "what kernels of the run work in"); err != nil {
		return 0, err
	}
	b.heap += more
	return more, nil
}

// giveHeap takes that back, for a call that does not run.
func (b *binding) giveHeap(s *Session, more int64) {
	b.heap -= more
	s.uncharge(more)
}

// charge takes n bytes for a binding of the session.
func (s *Session) charge(n int64, purpose string) error {
	if err := s.budget.payer.Take(n); err != nil {
		return err
	}
	err := s.e.budget.Reserve(budget.Plans, n, purpose)
	if err != nil {
		s.budget.payer.Give(n)
	}
	return err
}

func (s *Session) uncharge(n int64) {
	if n == 0 {
		return
	}
	s.e.budget.Release(budget.Plans, n)
	s.budget.payer.Give(n)
}
