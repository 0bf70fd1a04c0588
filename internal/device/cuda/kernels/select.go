package kernels

import (
	"fmt"
	"math"
	"math/bits"
	"unsafe"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// lines mirrors Lines of select.cuh: the rows along one axis.
type lines struct {
	at              driver.Ptr
	rows, n, stride int64
	strides, shape  [plan.MaxRank]int64
	rank, _         int32
}

// linesOf is the rows of x along axis; negative ones count from the last.
func linesOf(x *Tensor, axis int) (lines, error) {
	rank := len(x.Shape)
	if axis < 0 {
		axis += rank
	}
	if axis < 0 || axis >= rank || rank > plan.MaxRank || x.DType != plan.F32 || x.Shape[axis] > math.MaxInt32 {
		return lines{}, fmt.Errorf("%w: rows along axis %d of %v %v", op.ErrShape, axis, x.DType, x.Shape)
	}
	l := lines{at: x.At, rows: 1, n: int64(x.Shape[axis]), stride: int64(x.Strides[axis])}
	for d, size := range x.Shape {
		if d == axis {
			continue
		}
		l.shape[l.rank], l.strides[l.rank] = int64(size), int64(x.Strides[d])
		l.rank++
		l.rows *= int64(size)
	}
	return l, nil
}

const (
	// rowsAtOnce bounds the rows that are selected from at a time, each with its
	// scratch memory. More are selected from where that needs little.
	rowsAtOnce = 32
	// selectBytes of scratch memory are little.
	selectBytes = 1 << 20
	// longRow elements are worth a block of the maximum size.
	longRow = 2048
)

// selectGrid is the number of blocks for rows with so much scratch memory each.
func selectGrid(rows, each int) int {
	return min(rows, max(rowsAtOnce, selectBytes/max(each, 1)))
}

// selectBlock is the block for rows of n elements: a power of two of threads.
func selectBlock(n int64) driver.Dim {
	if n >= longRow {
		return driver.Dim{X: 512, Y: 1, Z: 1}
	}
	return driver.Dim{X: 128, Y: 1, Z: 1}
}

// ceilPow2 is the smallest power of two from n on.
func ceilPow2(n int) int {
	if n < 2 {
		return 1
	}
	return 1 << bits.Len(uint(n-1))
}

// argMax mirrors ArgMax of select.cu.
type argMax struct {
	y driver.Ptr
	x lines
}

// ArgMax stores the index (i32, contiguous) of the first largest element along
// axis, as [op.ArgMax] does.
func (s *Set) ArgMax(st driver.Stream, out driver.Ptr, x Tensor, axis int) error {
	l, err := linesOf(&x, axis)
	if err != nil {
		return err
	}
	if l.rows == 0 {
		return nil
	}
	if l.n == 0 {
		return fmt.Errorf("%w: argmax over axis %d of %v", op.ErrShape, axis, x.Shape)
	}
	grid := driver.Dim{X: int(min(l.rows, 1<<16)), Y: 1, Z: 1}
	return launch(s, st, "arg_max", grid, selectBlock(l.n), 0, &argMax{y: out, x: l})
}

// topK mirrors TopK of select.cu.
type topK struct {
	y, scratch         driver.Ptr
	x                  lines
	k, sorted, indices int64
}

// TopKScratch is the scratch memory in bytes that [Set.TopK] needs.
func TopKScratch(rows, k int) int { return selectGrid(rows, 8*ceilPow2(k)) * 8 * ceilPow2(k) }

// TopK stores the K largest elements of the last axis, or their indices (i32),
// contiguous, as [op.TopK] does.
func (s *Set) TopK(st driver.Stream, o op.TopK, out driver.Ptr, x Tensor, scratch driver.Ptr) error {
	l, err := linesOf(&x, -1)
	if err != nil {
		return err
	}
	if o.K < 1 || int64(o.K) > l.n {
		return fmt.Errorf("%w: top %d of %v", op.ErrShape, o.K, x.Shape)
	}
	if l.rows == 0 {
		return nil
	}
	a := topK{y: out, scratch: scratch, x: l, k: int64(o.K), sorted: int64(ceilPow2(o.K))}
	if o.Indices {
		a.indices = 1
	}
	grid := driver.Dim{X: selectGrid(int(l.rows), 8*int(a.sorted)), Y: 1, Z: 1}
	return launch(s, st, "top_k", grid, selectBlock(l.n), 0, &a)
}

var (
	_ = [1]struct{}{}[unsafe.Sizeof(argMax{})%8]
	_ = [1]struct{}{}[unsafe.Sizeof(topK{})%8]
)
