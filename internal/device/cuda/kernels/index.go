package kernels

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// axis mirrors Axis of index.cuh.
type axis struct{ size, magic, shift, _ uint32 }

// index mirrors Index of index.cuh.
type index struct {
	n, rank uint32
	axes    [plan.MaxRank]axis
}

// strides mirrors Strides of index.cuh.
type strides [plan.MaxRank]int64

// maxOperands is the most operands that kernels index together, with the output.
const maxOperands = 6

// maxIndexed is the most elements that a kernel indexes: one bit less than its
// numbers have.
const maxIndexed = 1<<31 - 1

// operands are tensors over one shape, innermost axis first.
type operands struct {
	count, rank int
	size        [plan.MaxRank]int
	at          [maxOperands]driver.Ptr
	bytes       [maxOperands]int // of an element
	stride      [maxOperands][plan.MaxRank]int
}

// over are an output and inputs that broadcast to its shape, as the operators
// broadcast.
func over(out *Tensor, in ...*Tensor) (o operands, err error) {
	if len(out.Shape) > plan.MaxRank || len(in) >= maxOperands {
		return o, fmt.Errorf("genie: kernels: rank %d and %d inputs", len(out.Shape), len(in))
	}
	o.count, o.rank = 1+len(in), len(out.Shape)
	o.add(0, out, out.Shape)
	for k, t := range in {
		if skip := o.rank - len(t.Shape); skip < 0 || !broadcasts(t.Shape, out.Shape[skip:]) {
			return o, fmt.Errorf("genie: kernels: operand %d of shape %v for %v", k, slices.Clone(t.Shape), slices.Clone(out.Shape))
		}
		o.add(k+1, t, out.Shape)
	}
	return o, nil
}

func broadcasts(from, to []int) bool {
	for i, n := range from {
		if n != 1 && n != to[i] {
			return false
		}
	}
	return true
}

func (o *operands) add(k int, t *Tensor, shape []int) {
	o.at[k], o.bytes[k] = t.At, t.DType.Size()
	for i := range shape {
		d := o.rank - 1 - i
		o.size[d] = shape[i]
		if j := i - len(shape) + len(t.Shape); j >= 0 && t.Shape[j] != 1 {
			o.stride[k][d] = t.Strides[j]
		}
	}
}

// len is the number of elements.
func (o *operands) len() int {
	n := 1
	for _, s := range o.size[:o.rank] {
		n *= s
	}
	return n
}

// merge joins axes that are one axis in all operands, and drops those of one
// element.
func (o *operands) merge() {
	rank := 0
	for d := range o.rank {
		switch {
		case o.size[d] == 1:
		case rank > 0 && o.continues(rank-1, d):
			o.size[rank-1] *= o.size[d]
		default:
			o.move(rank, d)
			rank++
		}
	}
	o.rank = rank
}

// continues reports whether axis d continues axis in of all operands.
func (o *operands) continues(in, d int) bool {
	for k := range o.count {
		if o.stride[k][d] != o.stride[k][in]*o.size[in] {
			return false
		}
	}
	return true
}

func (o *operands) move(to, from int) {
	o.size[to] = o.size[from]
	for k := range o.count {
		o.stride[k][to] = o.stride[k][from]
	}
}

// sort orders axes by the output's strides, so that adjacent threads write
// adjacent elements, and merges them. It is for kernels that treat all axes
// alike.
func (o *operands) sort() {
	for i := 1; i < o.rank; i++ {
		for d := i; d > 0 && o.stride[0][d] < o.stride[0][d-1]; d-- {
			o.size[d], o.size[d-1] = o.size[d-1], o.size[d]
			for k := range o.count {
				s := &o.stride[k]
				s[d], s[d-1] = s[d-1], s[d]
			}
		}
	}
	o.merge()
}

// vectors makes the innermost axis one of vectors of 4 elements of float32. It
// needs elements without gaps, or one for all of the axis: bit k of repeated is
// set for such an operand.
func (o *operands) vectors() (repeated uint32, ok bool) {
	if o.rank == 0 || o.stride[0][0] != 1 || o.rank > 1 && o.size[0]%4 != 0 {
		return 0, false
	}
	for k := range o.count {
		switch o.stride[k][0] {
		case 0:
			repeated |= 1 << k
			continue
		case 1:
		default:
			return 0, false
		}
		if o.at[k]%16 != 0 {
			return 0, false
		}
		for d := 1; d < o.rank; d++ {
			if o.stride[k][d]%4 != 0 {
				return 0, false
			}
		}
	}
	o.size[0] = (o.size[0] + 3) / 4
	for k := range o.count {
		o.stride[k][0] *= 4
	}
	return repeated, true
}

// split calls f for parts of at most limit elements, or not at all for none. It
// splits only axes from first on. Parts are values, since what f gets as a
// pointer escapes.
func (o *operands) split(limit, first int, f func(o operands) error) error {
	n := o.len()
	if n <= limit {
		if n == 0 {
			return nil
		}
		return f(*o)
	}
	d, half := first, 0
	for i := first; i < o.rank; i++ {
		if o.size[i] >= o.size[d] {
			d, half = i, o.size[i]/2
		}
	}
	if half == 0 {
		return fmt.Errorf("%w: a kernel indexes at most %d elements, not %d", op.ErrShape, limit, n)
	}
	// A multiple of 16, where possible, preserves the alignment of vectors.
	if half > 16 {
		half -= half % 16
	}
	lower, upper := *o, *o
	lower.size[d], upper.size[d] = half, o.size[d]-half
	for k := range o.count {
		upper.at[k] += driver.Ptr(half * o.stride[k][d] * o.bytes[k])
	}
	if err := lower.split(limit, first, f); err != nil {
		return err
	}
	return upper.split(limit, first, f)
}

// index is the shape for a kernel.
func (o *operands) index() index {
	x := index{n: uint32(o.len()), rank: uint32(o.rank)}
	for d, n := range o.size[:o.rank] {
		x.axes[d] = divisor(n)
	}
	return x
}

// divisor is the numbers that divide any i below 2^31 by n, which is below 2^31 too:
// i*magic>>shift with magic = ceil(2^shift/n). Its error is below 1/n, since
// i*n < 2^31 * 2^(shift-31).
func divisor(n int) axis {
	shift := 31
	for 1<<(shift-31) < n {
		shift++
	}
	return axis{size: uint32(n), magic: uint32((1<<shift + n - 1) / n), shift: uint32(shift)}
}

// strides are those of operand k.
func (o *operands) strides(k int) (s strides) {
	for d := range o.rank {
		s[d] = int64(o.stride[k][d])
	}
	return s
}
