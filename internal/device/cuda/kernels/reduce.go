package kernels

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// reduceArgs mirrors Reduce of reduce.cu.
type reduceArgs struct {
	y, x       driver.Ptr
	kind, team uint32
	reduced    index
	stride     strides
	rows       index
	strides    [2]strides
}

// maxPoolArgs mirrors MaxPool of reduce.cu.
type maxPoolArgs struct {
	y, x                driver.Ptr
	kernel, stride, pad [2]int32
	size                [2]int32
	xStride             [2]int64
	index               index
	strides             [2]strides
}

// columnsOf is the number of adjacent outputs that a block of reduce_columns
// computes.
const columnsOf = 32

// Reduce is the sum, mean or max over axes, as [op.Reduce] does.
func (s *Set) Reduce(st driver.Stream, o op.Reduce, out, x Tensor) error {
	a := reduceArgs{}
	switch o.Kind {
	case "sum":
	case "mean":
		a.kind = 1
	case "max":
		a.kind = 2
	default:
		return fmt.Errorf("%w: unknown reduction %.40q", op.ErrShape, o.Kind)
	}
	rows, reduced, err := reductions(o, &out, &x)
	if err != nil {
		return err
	}
	n := reduced.len()
	switch {
	case n == 0 && a.kind == 2 && rows.len() > 0:
		return fmt.Errorf("%w: the maximum over an empty axis", op.ErrShape)
	case n == 0:
		reduced.rank = 0
	case n > maxIndexed:
		return fmt.Errorf("%w: a reduction of %d elements, the device takes %d", op.ErrShape, n, maxIndexed)
	}
	reduced.merge()
	a.reduced, a.stride = reduced.index(), reduced.strides(0)
	a.reduced.n, a.team = uint32(n), uint32(team(n))
	rows.merge()
	columns := rows.rank > 0 && rows.size[0] >= columnsOf && rows.stride[1][0] == 1 && n > 1
	return rows.split(s.indexed, 0, func(o operands) error {
		a := a
		a.y, a.x, a.rows, a.strides = o.at[0], o.at[1], o.index(), [2]strides{o.strides(0), o.strides(1)}
		if columns {
			grid := driver.Dim{X: (o.len() + columnsOf - 1) / columnsOf, Y: 1, Z: 1}
			return launch(s, st, "reduce_columns", grid, driver.Dim{X: columnsOf, Y: warp, Z: 1}, 0, &a)
		}
		grid, block := teams(o.len(), int(a.team))
		return launch(s, st, "reduce", grid, block, 0, &a)
	})
}

// reductions separates the axes: those of the output, of both operands, and the
// reduced ones of the input.
func reductions(o op.Reduce, out, x *Tensor) (rows, reduced operands, err error) {
	rank := len(x.Shape)
	if rank > plan.MaxRank {
		return rows, reduced, fmt.Errorf("%w: a reduction of rank %d", op.ErrShape, rank)
	}
	var is [plan.MaxRank]bool
	for _, axis := range o.Axes {
		if axis, err = axisOf(axis, rank); err != nil {
			return rows, reduced, err
		}
		is[axis] = true
	}
	rows.count, reduced.count = 2, 1
	rows.at[0], rows.at[1], rows.bytes[0], rows.bytes[1] = out.At, x.At, 4, 4
	j := len(out.Shape) - 1
	for i := rank - 1; i >= 0; i-- {
		if is[i] {
			reduced.size[reduced.rank], reduced.stride[0][reduced.rank] = x.Shape[i], x.Strides[i]
			reduced.rank++
			if o.Keep {
				j--
			}
			continue
		}
		if j < 0 || out.Shape[j] != x.Shape[i] {
			return rows, reduced, fmt.Errorf("%w: a reduction of rank %d to rank %d", op.ErrShape, rank, len(out.Shape))
		}
		d := rows.rank
		rows.size[d], rows.stride[0][d], rows.stride[1][d] = x.Shape[i], out.Strides[j], x.Strides[i]
		rows.rank++
		j--
	}
	if j != -1 {
		err = fmt.Errorf("%w: a reduction of rank %d to rank %d", op.ErrShape, rank, len(out.Shape))
	}
	return rows, reduced, err
}

// MaxPool is the largest element of each window, as [op.MaxPool2D] computes it.
func (s *Set) MaxPool(st driver.Stream, p op.MaxPool2D, out, x Tensor) error {
	if len(out.Shape) != 4 || len(x.Shape) != 4 {
		return fmt.Errorf("%w: max pool of rank %d", op.ErrShape, len(x.Shape))
	}
	// Along the image, the input's offsets are those of windows.
	images := x
	shape, strides4 := [4]int{x.Shape[0], x.Shape[1], 1, 1}, [4]int{x.Strides[0], x.Strides[1]}
	images.Shape, images.Strides = shape[:], strides4[:]
	all, err := over(&out, &images)
	if err != nil {
		return err
	}
	a := maxPoolArgs{
		size:    [2]int32{int32(x.Shape[2]), int32(x.Shape[3])},
		xStride: [2]int64{int64(x.Strides[2]), int64(x.Strides[3])},
	}
	for i := range 2 {
		a.kernel[i], a.stride[i], a.pad[i] = int32(p.Kernel[i]), int32(p.Stride[i]), int32(p.Pad[i])
	}
	return all.split(s.indexed, 2, func(o operands) error {
		a := a
		a.y, a.x, a.index, a.strides = o.at[0], o.at[1], o.index(), [2]strides{o.strides(0), o.strides(1)}
		return launch(s, st, "max_pool2d", cover(o.len()), line, 0, &a)
	})
}
