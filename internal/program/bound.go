package program

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Bound is a program at given sizes: the dimensions of its values, and the
// places of its scratch buffers in an arena. A step of a loop computes only
// what changed. One goroutine at a time may use it.
type Bound struct {
	Dims  [][]int // by class
	Elems []int   // by class: the product of its dimensions, -1 when it is too large
	// Buffers are the scratch buffers, and Workspaces the additional memory of
	// kernels: one for each lane of the program, or one.
	Buffers, Workspaces []Extent
	Total               int // bytes of the arena

	prog      *Program
	sizes     []int64 // symbols, then capacities, then quotients
	valid     bool
	need      []int // by buffer
	pages     []int // by state
	work      []stepWork
	apart     float64 // see [Bound.Apart]
	apartAt   []int64
	apartSeen bool
}

// Extent is a part of an arena, in bytes.
type Extent struct {
	Off, Size int
}

// Align rounds n up to the alignment of an arena's parts.
func Align(n int) int { return (n + arenaAlign - 1) &^ (arenaAlign - 1) }

const arenaAlign = 64

// NewBound makes room for the sizes of a program.
func NewBound(p *Program) *Bound {
	b := &Bound{
		prog: p, sizes: make([]int64, len(p.symbols)+len(p.plan.States)+len(p.quotients)),
		Dims: make([][]int, len(p.Classes)), Elems: make([]int, len(p.Classes)),
		Buffers: make([]Extent, p.Buffers), need: make([]int, p.Buffers), pages: make([]int, len(p.plan.States)), Workspaces: make([]Extent, 1),
	}
	if len(p.Lanes) > 0 {
		b.Workspaces = append(b.Workspaces, Extent{})
	}
	total := 0
	for c := range p.Classes {
		total += len(p.Classes[c].Dims)
	}
	ints := make([]int, total)
	for c := range p.Classes {
		n := len(p.Classes[c].Dims)
		b.Dims[c], ints = ints[:n:n], ints[n:]
	}
	return b
}

// Valid reports whether the last sizes were bound completely.
func (b *Bound) Valid() bool { return b.valid }

// SetValid records whether they were: after false all sizes are bound again.
func (b *Bound) SetValid(ok bool) { b.valid = ok }

// Set stores the bindings of the symbols and returns which changed, as a mask;
// all of them if nothing is valid.
func (b *Bound) Set(bindings []int) (changed uint64) {
	for i, n := range bindings {
		if b.sizes[i] != int64(n) {
			b.sizes[i] = int64(n)
			changed |= 1 << i
		}
	}
	if !b.valid {
		changed = ^uint64(0)
	}
	return changed
}

// Bindings is a copy of the bindings of the symbols.
func (b *Bound) Bindings() []int {
	out := make([]int, len(b.prog.symbols))
	for i := range out {
		out[i] = int(b.sizes[i])
	}
	return out
}

// SetCapacity stores the capacity of state i, in positions, and reports whether
// it changed. For a state in pages it is the capacity of a page: strides and
// offsets are those within it.
func (b *Bound) SetCapacity(i, positions, pages int) (changed bool) {
	b.pages[i] = pages
	c := &b.sizes[len(b.prog.symbols)+i]
	changed = *c != int64(positions)
	*c = int64(positions)
	return changed
}

// Eval computes the dimensions that depend on changed symbols. Errors wrap
// [transport.ErrShape].
func (b *Bound) Eval(changed uint64) error {
	b.quotients(changed)
	for c := range b.prog.Classes {
		k := &b.prog.Classes[c]
		if b.valid && k.Mask&changed == 0 {
			continue
		}
		// Eight bytes is the largest element.
		n, ok := int64(8), true
		for i := range k.Dims {
			d, dok := k.Dims[i].Eval(b.sizes)
			if b.Dims[c][i] = d; dok && ok {
				n, ok = plan.MulChecked(n, int64(max(d, 1)))
			}
			if !dok && k.Why != "" {
				return fmt.Errorf("%w: %s at %v=%v", transport.ErrShape, k.Why, b.prog.symbols, b.sizes[:len(b.prog.symbols)])
			}
			if !dok || !ok && k.Size {
				return fmt.Errorf("%w: dimension %v is out of range at %v=%v", transport.ErrShape, k.Text[i], b.prog.symbols, b.sizes[:len(b.prog.symbols)])
			}
		}
		b.Elems[c] = -1 // too large; no error for strides, whose product means nothing
		if ok {
			b.Elems[c] = int(n / 8)
			for _, d := range b.Dims[c] {
				if d == 0 {
					b.Elems[c] = 0
				}
			}
		}
	}
	return nil
}

// Shape is the dimensions of a value.
func (b *Bound) Shape(v int) []int { return b.Dims[b.prog.Places[v].Shape] }

// Strides is the strides of a value, in elements.
func (b *Bound) Strides(v int) []int { return b.Dims[b.prog.Places[v].Strides] }

// Len is the number of elements of a value.
func (b *Bound) Len(v int) int { return b.Elems[b.prog.Places[v].Shape] }

// Bytes is the size of a value without gaps.
func (b *Bound) Bytes(v int) int {
	p := &b.prog.Places[v]
	return b.Elems[p.Shape] * int(p.Size)
}

// Contiguous reports whether a value's elements lie in row-major order without gaps.
func (b *Bound) Contiguous(v int) bool {
	n := 1
	shape, strides := b.Shape(v), b.Strides(v)
	for d, size := range slices.Backward(shape) {
		if size != 1 && strides[d] != n {
			return false
		}
		n *= size
	}
	return true
}

// FitBuffers makes the buffers and workspaces large enough, the workspaces for
// need bytes each, and reports whether any of them moved. When one grows it
// gets spare room, which keeps the layout stable over many steps of a growing
// sequence. More than limit bytes is [transport.ErrLimit].
func (b *Bound) FitBuffers(changed uint64, need []int, limit int64) (moved bool, err error) {
	fit := true
	for k := range b.Workspaces {
		fit = fit && need[k] <= b.Workspaces[k].Size
	}
	if fit && b.valid && !b.outgrown(changed) {
		return false, nil
	}
	clear(b.need)
	for _, v := range b.prog.Roots {
		k := b.prog.Places[v].Buffer
		b.need[k] = max(b.need[k], b.Bytes(v))
	}
	total := 0
	place := func(x *Extent, n, size int) error {
		if b.valid && n > x.Size && x.Size > 0 {
			size += n / 4
		}
		x.Off, x.Size = total, size
		if total += Align(size); int64(total) > limit {
			return fmt.Errorf("%w: the run needs more than %d bytes of scratch memory", transport.ErrLimit, limit)
		}
		return nil
	}
	for k, n := range b.need {
		if err := place(&b.Buffers[k], n, n); err != nil {
			return true, err
		}
	}
	for k := range b.Workspaces {
		if err := place(&b.Workspaces[k], need[k], need[k]); err != nil {
			return true, err
		}
		b.Workspaces[k].Size = Align(b.Workspaces[k].Size)
	}
	b.Total = total
	return true, nil
}

// outgrown reports whether a changed root needs a larger buffer, or everything
// shrank so much that less memory suffices.
func (b *Bound) outgrown(changed uint64) bool {
	for i, roots := range b.prog.RootsOf {
		if changed>>i&1 == 0 {
			continue
		}
		for _, v := range roots {
			if b.Bytes(v) > b.Buffers[b.prog.Places[v].Buffer].Size {
				return true
			}
		}
		if changed&^(1<<i) != 0 {
			return true // several sizes at once: another kind of run
		}
	}
	return false
}

// CheckViews checks the changed views against their bases, given the size in
// bytes of each state's memory. Errors wrap [transport.ErrShape].
func (b *Bound) CheckViews(changed uint64, state func(i int) int) error {
	if !b.valid {
		return b.checkViewList(b.prog.Views, state)
	}
	for i, views := range b.prog.ViewsOf {
		if changed>>i&1 != 0 {
			if err := b.checkViewList(views, state); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Bound) checkViewList(views []int, state func(i int) int) error {
	for _, v := range views {
		if i := b.prog.Places[b.prog.Places[v].Base].State; i >= 0 && b.pages[i] > 1 {
			continue // it has the axes of the state, see [Program.findPaged]
		}
		if n, has := b.reach(v), b.extent(int(b.prog.Places[v].Base), state); n < 0 || n > has {
			return fmt.Errorf("%w: value %d reaches element %d of the %d of value %d", transport.ErrShape, v, n, has, b.prog.Places[v].Base)
		}
	}
	return nil
}

// reach is the number of elements of its base that a value spans; 0 for an
// empty value, -1 if the number is too large.
func (b *Bound) reach(v int) int {
	p := &b.prog.Places[v]
	shape, strides := b.Dims[p.Shape], b.Dims[p.Strides]
	n := int64(b.Dims[p.Offset][0])
	for i, d := range shape {
		if d == 0 {
			return 0
		}
		r, ok := plan.MulChecked(int64(d-1), int64(strides[i]))
		if n += r; !ok || n > plan.MaxDimSize {
			return -1
		}
	}
	return int(n) + 1
}

// extent is the number of elements of a base's memory.
func (b *Bound) extent(v int, state func(i int) int) int {
	p := &b.prog.Places[v]
	if p.State >= 0 {
		return state(int(p.State)) / int(p.Size)
	}
	return b.Elems[p.Shape]
}

// stepWork provides the shapes of a step at the program's sizes.
type stepWork struct {
	index int // in the plan
	in    [][]int
	out   []int
}
