package kernels

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
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
		return launch(s, st, copiers[unit], cover(o.len()), line, 0, &a)
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
