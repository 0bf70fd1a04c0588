package kernels

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// indicesArgs mirrors Indices of gather.cu.
type indicesArgs struct {
	at     driver.Ptr
	limit  int64
	status driver.Ptr
	group  int32
	wide   uint32
}

// embeddingArgs mirrors Embedding of gather.cu.
type embeddingArgs struct {
	y, table                          driver.Ptr
	indices                           indicesArgs
	elem, vectors                     uint32
	width, yStride, rowStride, stride int64
	index                             index
	strides                           [2]strides
}

// packedArgs mirrors EmbeddingPacked of gather.cu.
type packedArgs struct {
	y, table         driver.Ptr
	indices          indicesArgs
	elem, k          uint32
	transposed, size uint32
	yStride          int64
	index            index
	strides          [2]strides
}

// pickArgs mirrors Pick of gather.cu.
type pickArgs struct {
	y, x    driver.Ptr
	indices indicesArgs
	xStride int64
	index   index
	strides [3]strides
}

// indices are the arguments of indices below limit. Kernels report others as an
// error of a group at status.
func indices(t *Tensor, limit int, status driver.Ptr, group int) (indicesArgs, error) {
	if !t.DType.IsInt() {
		return indicesArgs{}, fmt.Errorf("%w: indices of %v", op.ErrDType, t.DType)
	}
	return indicesArgs{limit: int64(limit), status: status, group: int32(group), wide: bit(t.DType == plan.I64)}, nil
}

// lookups are the output's rows and the indices, and the stride within a row.
func lookups(out, t *Tensor, width int) (o operands, stride int, err error) {
	last := len(out.Shape) - 1
	if last < 0 || out.Shape[last] != width || len(t.Shape) != last {
		return o, 0, fmt.Errorf("%w: lookups of rank %d to rank %d, of rows of %d", op.ErrShape, len(t.Shape), last+1, width)
	}
	rows := Tensor{At: out.At, DType: out.DType, Shape: out.Shape[:last], Strides: out.Strides[:last]}
	o, err = over(&rows, t)
	o.merge()
	return o, out.Strides[last], err
}

// lookupGrid has a row along x and elements of it along y, each thread some.
func lookupGrid(rows, width int) driver.Dim {
	const each = 4
	return driver.Dim{X: rows, Y: min((width+each*threads-1)/(each*threads), maxGridY), Z: 1}
}

// Embedding copies rows of a table [rows, width] of any float type to out
// [..., width], f32, at indices [...].
func (s *Set) Embedding(st driver.Stream, out, table, t Tensor, status driver.Ptr, group int) error {
	if len(table.Shape) != 2 {
		return fmt.Errorf("%w: embedding table of rank %d", op.ErrShape, len(table.Shape))
	}
	x, err := indices(&t, table.Shape[0], status, group)
	if err != nil {
		return err
	}
	width := table.Shape[1]
	all, stride, err := lookups(&out, &t, width)
	if err != nil || width == 0 {
		return err
	}
	switch table.DType {
	case plan.F32, plan.F16, plan.BF16:
	default:
		return fmt.Errorf("%w: embedding table of %v", op.ErrDType, table.DType)
	}
	vectors := table.DType == plan.F32 && width%4 == 0 && table.At%16 == 0 && table.Strides[0]%4 == 0 && table.Strides[1] == 1 && stride == 1
	return all.split(s.indexed, 0, func(o operands) error {
		a := embeddingArgs{
			y: o.at[0], table: table.At, indices: x, elem: uint32(table.DType), width: int64(width), yStride: int64(stride),
			rowStride: int64(table.Strides[0]), stride: int64(table.Strides[1]), index: o.index(), strides: [2]strides{o.strides(0), o.strides(1)},
		}
		a.indices.at = o.at[1]
		fits := o.at[0]%16 == 0
		for d := range o.rank {
			fits = fits && o.stride[0][d]%4 == 0
		}
		a.vectors = bit(vectors && fits)
		return launch(s, st, "embedding", lookupGrid(o.len(), width), line, 0, &a)
	})
}

// EmbeddingPacked is [Set.Embedding] from a packed weight. The table's rows are
// the weight's rows or, if it is transposed, its columns.
func (s *Set) EmbeddingPacked(st driver.Stream, out Tensor, w *Packed, transposed bool, t Tensor, status driver.Ptr, group int) error {
	rows, width := w.K, w.N
	if transposed {
		rows, width = w.N, w.K
	}
	x, err := indices(&t, rows, status, group)
	if err != nil {
		return err
	}
	all, stride, err := lookups(&out, &t, width)
	if err != nil || width == 0 {
		return err
	}
	return all.split(s.indexed, 0, func(o operands) error {
		a := packedArgs{
			y: o.at[0], table: w.At, indices: x, elem: uint32(w.Elem), k: uint32(w.K), transposed: bit(transposed), size: uint32(width),
			yStride: int64(stride), index: o.index(), strides: [2]strides{o.strides(0), o.strides(1)},
		}
		a.indices.at = o.at[1]
		return launch(s, st, "embedding_packed", lookupGrid(o.len(), width), line, 0, &a)
	})
}

// Pick takes x[b, index[b], ...] of x [batch, n, ...], f32.
func (s *Set) Pick(st driver.Stream, out, x, t Tensor, status driver.Ptr, group int) error {
	rank := len(out.Shape)
	if rank < 1 || rank+1 != len(x.Shape) || rank > plan.MaxRank || len(t.Shape) != 1 || t.Shape[0] != out.Shape[0] {
		return fmt.Errorf("%w: pick from rank %d at rank %d to rank %d", op.ErrShape, len(x.Shape), len(t.Shape), rank)
	}
	found, err := indices(&t, x.Shape[1], status, group)
	if err != nil {
		return err
	}
	// The input without the axis of the indices, and these along the batch.
	var shape, stride, ones, none [plan.MaxRank]int
	for i := range rank {
		from := i
		if i > 0 {
			from = i + 1
		}
		shape[i], stride[i], ones[i] = x.Shape[from], x.Strides[from], 1
	}
	ones[0], none[0] = t.Shape[0], t.Strides[0]
	rows := Tensor{At: x.At, DType: x.DType, Shape: shape[:rank], Strides: stride[:rank]}
	all, err := over(&out, &rows, &Tensor{At: t.At, DType: t.DType, Shape: ones[:rank], Strides: none[:rank]})
	if err != nil {
		return err
	}
	all.sort()
	return all.split(s.indexed, 0, func(o operands) error {
		a := pickArgs{y: o.at[0], x: o.at[1], indices: found, xStride: int64(x.Strides[1]), index: o.index()}
		a.indices.at = o.at[2]
		a.strides = [3]strides{o.strides(0), o.strides(1), o.strides(2)}
		return launch(s, st, "pick", cover(o.len()), line, 0, &a)
	})
}
