package kernels

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// move mirrors Move of state.cu.
type move struct {
	dst, table, src, position, status driver.Ptr
	n, at, rows, limit, pageRows, row int64
	shape, dstStrides, srcStrides     [plan.MaxRank]int64
	rank, axis, positionWide, group   int32
}

// AppendRows stores rows [..., n, ...] from position at of axis on, in the piece
// or the pages of dst, whose strides are given; of its shape only the axes other
// than axis matter.
func (s *Set) AppendRows(st driver.Stream, dst Paged, rows Tensor, axis, at int) error {
	axis, err := moveAxis(&dst.Tensor, &rows, axis)
	if err != nil {
		return err
	}
	if dst.Table != 0 && dst.PageRows < 1 || at < 0 {
		return fmt.Errorf("genie: rows at position %d of pages of %d", at, dst.PageRows)
	}
	return s.move(st, &dst, &rows, axis, &move{at: int64(at)})
}

// WriteRows is [op.WriteRows]: out is the cache with rows written over it from
// the position on that a tensor has. Where out is not the cache's memory, the
// cache is copied to it first. A position outside is reported in the status
// word, and nothing is written; nor is anything after an earlier error of the
// run, since a state would lose its content.
func (s *Set) WriteRows(st driver.Stream, out, cache, rows, position Tensor, axis int, status driver.Ptr, group int) error {
	axis, err := moveAxis(&out, &rows, axis)
	if err != nil {
		return err
	}
	if _, err := moveAxis(&out, &cache, axis); err != nil || cache.Shape[axis] != out.Shape[axis] {
		return fmt.Errorf("genie: rows into a cache %v of %v", cache.Shape, out.Shape)
	}
	if !position.DType.IsInt() || position.Len() != 1 || group < 0 || group > MaxStatusGroup {
		return fmt.Errorf("genie: rows at position %v %v, group %d", position.DType, position.Shape, group)
	}
	if out.At != cache.At {
		if err := s.move(st, &Paged{Tensor: out}, &cache, axis, &move{}); err != nil {
			return err
		}
	}
	m := move{position: position.At, status: status, limit: int64(out.Shape[axis]), group: int32(group)}
	if position.DType == plan.I64 {
		m.positionWide = 1
	}
	return s.move(st, &Paged{Tensor: out}, &rows, axis, &m)
}

// Piece is memory of a carried value with room for Positions positions.
type Piece struct {
	At        driver.Ptr
	Positions int
}

// CopyRows copies n positions of a carried value, row-major of this shape and
// growing along axis, from position from of one piece to position to of another.
func (s *Set) CopyRows(st driver.Stream, dst Piece, to int, src Piece, from, n int, dt plan.DType, shape []int, axis int) error {
	if axis < 0 || axis >= len(shape) || n < 0 || from < 0 || from+n > src.Positions || to < 0 || to+n > dst.Positions {
		return fmt.Errorf("genie: copy of %d positions from %d of %d to %d of %d", n, from, src.Positions, to, dst.Positions)
	}
	outer, inner := 1, dt.Size()
	for d, k := range shape {
		if d < axis {
			outer *= k
		} else if d > axis {
			inner *= k
		}
	}
	if outer*inner*n == 0 {
		return nil
	}
	if outer == 1 {
		return st.Copy(dst.At+driver.Ptr(to*inner), src.At+driver.Ptr(from*inner), int64(n*inner))
	}
	m := move{dst: dst.At + driver.Ptr(to*inner), src: src.At + driver.Ptr(from*inner), rank: 2, axis: -1}
	m.shape = [plan.MaxRank]int64{int64(outer), int64(n * inner)}
	m.dstStrides = [plan.MaxRank]int64{int64(dst.Positions * inner), 1}
	m.srcStrides = [plan.MaxRank]int64{int64(src.Positions * inner), 1}
	return s.launchMove(st, &m, 1)
}

// moveAxis checks that rows have the type and the other axes of dst.
func moveAxis(dst, rows *Tensor, axis int) (int, error) {
	rank := len(dst.Shape)
	if axis < 0 {
		axis += rank
	}
	ok := axis >= 0 && axis < rank && len(rows.Shape) == rank && rank <= plan.MaxRank && dst.DType == rows.DType && dst.DType.Size() > 0
	for d := 0; ok && d < rank; d++ {
		ok = d == axis || dst.Shape[d] == rows.Shape[d]
	}
	if !ok {
		return 0, fmt.Errorf("%w: rows %v %v to %v %v along axis %d", op.ErrShape, rows.DType, rows.Shape, dst.DType, dst.Shape, axis)
	}
	return axis, nil
}

// move launches the copy of rows to dst along axis. Adjacent axes are joined
// where both permit it, but for the growing axis in pages.
func (s *Set) move(st driver.Stream, dst *Paged, rows *Tensor, axis int, m *move) error {
	m.dst, m.table, m.src, m.axis = dst.At, dst.Table, rows.At, -1
	m.rows, m.row = int64(rows.Shape[axis]), int64(dst.Strides[axis])
	m.pageRows = int64(dst.PageRows)
	if m.table == 0 && m.position == 0 {
		m.dst += driver.Ptr(m.at * m.row * int64(dst.DType.Size()))
		m.at, m.row = 0, 0
	}
	n := 0
	for d, size := range rows.Shape {
		if size == 0 && m.position == 0 {
			return nil
		}
		to, from := int64(dst.Strides[d]), int64(rows.Strides[d])
		grows := d == axis && m.table != 0
		if size == 1 && !grows {
			continue
		}
		if grows {
			m.axis, to = int32(n), 0
		} else if n > 0 && m.axis != int32(n-1) && m.dstStrides[n-1] == to*int64(size) && m.srcStrides[n-1] == from*int64(size) {
			n--
			size *= int(m.shape[n])
		}
		m.shape[n], m.dstStrides[n], m.srcStrides[n] = int64(size), to, from
		n++
	}
	m.rank = int32(n)
	return s.launchMove(st, m, int64(dst.DType.Size()))
}

// launchMove launches a copy of elements of so many bytes, in units as wide as
// addresses and strides permit.
func (s *Set) launchMove(st driver.Stream, m *move, size int64) error {
	last := m.rank - 1
	if last >= 0 && last != m.axis && m.dstStrides[last] == 1 && m.srcStrides[last] == 1 {
		all := int64(m.dst) | int64(m.src) | m.row*size | m.shape[last]*size
		for d := range last {
			all |= (m.dstStrides[d] | m.srcStrides[d]) * size
		}
		for unit := int64(16); unit > size; unit /= 2 {
			if all%unit == 0 {
				m.widen(unit / size)
				size = unit
			}
		}
	}
	m.n = 1
	for d := range m.rank {
		m.n *= m.shape[d]
	}
	// Without elements only the position is checked.
	return launch(s, st, moveKernels[bits.TrailingZeros64(uint64(size))], cover(max(int(m.n), 1)), driver.Dim{X: threads, Y: 1, Z: 1}, 0, m)
}

var moveKernels = [...]string{"move_1", "move_2", "move_4", "move_8", "move_16"}

// widen counts in units of so many elements.
func (m *move) widen(by int64) {
	last := m.rank - 1
	m.row /= by
	m.shape[last] /= by
	for d := range last {
		m.dstStrides[d] /= by
		m.srcStrides[d] /= by
	}
}

var _ = [1]struct{}{}[unsafe.Sizeof(move{})%8]
