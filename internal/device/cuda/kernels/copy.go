package kernels

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// copyArgs mirrors CopyStrided of copy.cu.
type copyArgs struct {
	y, x    driver.Ptr
	index   index
	strides [2]strides
}

// transposeArgs mirrors Transpose of copy.cu.
type transposeArgs struct {
	y, x    driver.Ptr
	tiles   [2]axis
	size    [2]uint32
	xStride int64
	yStride int64
	index   index
	strides [2]strides
}

// Copy copies elements of one type, of any layout. The input broadcasts to the
// output's shape; they do not overlap.
func (s *Set) Copy(st driver.Stream, out, in Tensor) error {
	if in.DType != out.DType || out.DType.Size() == 0 {
		return fmt.Errorf("genie: kernels: copy of %v to %v", in.DType, out.DType)
	}
	all, err := over(&out, &in)
	if err != nil {
		return err
	}
	all.sort()
	return all.split(s.indexed, 0, func(o operands) error {
		if d, ok := o.transposed(); ok {
			return s.transpose(st, &o, d)
		}
		unit := o.widen()
		a := copyArgs{y: o.at[0], x: o.at[1], index: o.index(), strides: [2]strides{o.strides(0), o.strides(1)}}
		return launch(s, st, copiers[unit], cover(o.len()), blockOf(threads), 0, &a)
	})
}

// copiers and transposers are the kernels by the size of a unit.
var (
	copiers     = [...]string{1: "copy_1", 2: "copy_2", 4: "copy_4", 8: "copy_8", 16: "copy_16"}
	transposers = [...]string{1: "transpose_1", 2: "transpose_2", 4: "transpose_4", 8: "transpose_8"}
)

// widen makes elements that are adjacent in both operands units of up to 16
// bytes, and returns their size in bytes.
func (o *operands) widen() int {
	size := o.bytes[0]
	if o.rank == 0 || o.stride[0][0] != 1 || o.stride[1][0] != 1 {
		return size
	}
	unit := 16
	for ; unit > size; unit /= 2 {
		if o.divides(unit) {
			break
		}
	}
	n := unit / size
	o.size[0] /= n
	for k := range o.count {
		for d := 1; d < o.rank; d++ {
			o.stride[k][d] /= n
		}
	}
	return unit
}

// divides reports whether addresses, distances and the innermost axis are
// multiples of unit bytes.
func (o *operands) divides(unit int) bool {
	size := o.bytes[0]
	if o.size[0]*size%unit != 0 {
		return false
	}
	for k := range o.count {
		if int(o.at[k])%unit != 0 {
			return false
		}
		for d := 1; d < o.rank; d++ {
			if o.stride[k][d]*size%unit != 0 {
				return false
			}
		}
	}
	return true
}

// tile is the number of rows and columns of a block's part of a transposition.
const tile = 32

// transposed finds the axis along which the input has no gaps, where the output
// has none along the innermost one, and both axes are long enough for tiles.
func (o *operands) transposed() (d int, ok bool) {
	const least = 8
	if o.rank < 2 || o.stride[0][0] != 1 || o.stride[1][0] <= 1 || o.size[0] < least {
		return 0, false
	}
	for d := 1; d < o.rank; d++ {
		if o.stride[1][d] == 1 && o.size[d] >= least {
			return d, true
		}
	}
	return 0, false
}

// transpose copies with axes 0 and d exchanged.
func (s *Set) transpose(st driver.Stream, o *operands, d int) error {
	a := transposeArgs{
		y: o.at[0], x: o.at[1], size: [2]uint32{uint32(o.size[0]), uint32(o.size[d])},
		xStride: int64(o.stride[1][0]), yStride: int64(o.stride[0][d]),
	}
	tiles := 1
	for i, n := range a.size {
		k := (int(n) + tile - 1) / tile
		a.tiles[i] = divisor(k)
		tiles *= k
	}
	rank := 0
	for i := range o.rank {
		if i != 0 && i != d {
			o.move(rank, i)
			rank++
		}
	}
	o.rank = rank
	a.index, a.strides = o.index(), [2]strides{o.strides(0), o.strides(1)}
	grid := driver.Dim{X: tiles * o.len(), Y: 1, Z: 1}
	return launch(s, st, transposers[o.bytes[0]], grid, driver.Dim{X: tile, Y: 8, Z: 1}, 0, &a)
}

// Reshape copies in row-major order of the input's shape to an output without
// gaps, of any shape.
func (s *Set) Reshape(st driver.Stream, out, in Tensor) error {
	if out.Len() != in.Len() || !out.contiguous() || len(in.Shape) > plan.MaxRank {
		return fmt.Errorf("genie: kernels: reshape of %v to %v", in.Shape, out.Shape)
	}
	var strides [plan.MaxRank]int
	n := 1
	for i := len(in.Shape) - 1; i >= 0; i-- {
		strides[i] = n
		n *= in.Shape[i]
	}
	return s.Copy(st, Tensor{At: out.At, DType: out.DType, Shape: in.Shape, Strides: strides[:len(in.Shape)]}, in)
}

func (t *Tensor) contiguous() bool {
	n := 1
	for i := len(t.Shape) - 1; i >= 0; i-- {
		if t.Shape[i] != 1 && t.Strides[i] != n {
			return false
		}
		n *= t.Shape[i]
	}
	return true
}

// Transpose copies with permuted axes: output axis i is input axis perm[i].
func (s *Set) Transpose(st driver.Stream, perm []int, out, in Tensor) error {
	if len(perm) != len(in.Shape) || len(perm) > plan.MaxRank {
		return fmt.Errorf("genie: kernels: transposition of %v by %v", in.Shape, perm)
	}
	var shape, strides [plan.MaxRank]int
	for i, p := range perm {
		if p < 0 || p >= len(perm) {
			return fmt.Errorf("genie: kernels: transposition of %v by %v", in.Shape, perm)
		}
		shape[i], strides[i] = in.Shape[p], in.Strides[p]
	}
	in.Shape, in.Strides = shape[:len(perm)], strides[:len(perm)]
	return s.Copy(st, out, in)
}

// Slice copies the positions of the input from start along axis on.
func (s *Set) Slice(st driver.Stream, axis, start int, out, in Tensor) error {
	axis, err := axisOf(axis, len(in.Shape))
	if err != nil {
		return err
	}
	if len(out.Shape) != len(in.Shape) || start < 0 || start+out.Shape[axis] > in.Shape[axis] {
		return fmt.Errorf("genie: kernels: slice from %d of axis %d of %v to %v", start, axis, in.Shape, out.Shape)
	}
	in.At += driver.Ptr(start * in.Strides[axis] * in.DType.Size())
	in.Shape = out.Shape
	return s.Copy(st, out, in)
}

// Concat joins inputs along an axis.
func (s *Set) Concat(st driver.Stream, axis int, out Tensor, in ...Tensor) error {
	axis, err := axisOf(axis, len(out.Shape))
	if err != nil {
		return err
	}
	at := 0
	for i := range in {
		x := &in[i]
		part := out
		part.Shape = x.Shape
		if len(x.Shape) != len(out.Shape) || at+x.Shape[axis] > out.Shape[axis] || !slices.Equal(x.Shape[:axis], out.Shape[:axis]) || !slices.Equal(x.Shape[axis+1:], out.Shape[axis+1:]) {
			return fmt.Errorf("genie: kernels: input %d of %v to %v along axis %d", i, x.Shape, out.Shape, axis)
		}
		part.At += driver.Ptr(at * out.Strides[axis] * out.DType.Size())
		if err := s.Copy(st, part, *x); err != nil {
			return err
		}
		at += x.Shape[axis]
	}
	return nil
}

// axisOf is an axis that counts from the last one where it is negative.
func axisOf(axis, rank int) (int, error) {
	if axis < 0 {
		axis += rank
	}
	if axis < 0 || axis >= rank {
		return 0, fmt.Errorf("%w: axis %d of rank %d", op.ErrShape, axis, rank)
	}
	return axis, nil
}
