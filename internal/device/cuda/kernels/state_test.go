package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// random fills an array with random bytes.
func random(rng *rand.Rand, a *op.Array) *op.Array {
	for i := range a.Data {
		a.Data[i] = byte(rng.Uint32())
	}
	return a
}

// copied is a copy of an array.
func copied(a *op.Array) *op.Array {
	b := *a
	b.Data = slices.Clone(a.Data)
	return &b
}

// positions is n positions of axis from position from on.
func positions(a *op.Array, axis, from, n int) *op.Array {
	b := *a
	b.Shape = slices.Clone(a.Shape)
	b.Shape[axis] = n
	b.Data = a.Data[min(from*a.Strides[axis]*a.DType.Size(), len(a.Data)):]
	return &b
}

var moves = []struct {
	dt    plan.DType
	shape []int // of the rows
	axis  int
	order []int // of the axes of the rows in memory
	gap   int
}{
	{plan.F32, []int{2, 3, 5, 8}, 2, []int{0, 2, 1, 3}, 0},
	{plan.F32, []int{2, 3, 5, 7}, 2, []int{0, 1, 2, 3}, 0},
	{plan.F32, []int{2, 3, 4, 4}, -3, []int{3, 1, 2, 0}, 1},
	{plan.F32, []int{6, 16}, 0, []int{0, 1}, 0},
	{plan.I64, []int{6}, 0, []int{0}, 0},
	{plan.I32, []int{1, 4, 1}, 1, []int{0, 1, 2}, 0},
	{plan.Bool, []int{3, 5, 3}, 1, []int{1, 0, 2}, 2},
	{plan.F16, []int{3, 5, 4}, 1, []int{0, 1, 2}, 0},
	{plan.F32, []int{1, 2, 1, 3, 2, 1, 2, 2}, 3, []int{7, 6, 5, 4, 3, 2, 1, 0}, 1},
	{plan.F32, []int{2, 0, 3}, 1, []int{0, 1, 2}, 0},
	{plan.F32, []int{0, 2, 3}, 1, []int{0, 1, 2}, 0},
}

func TestAppendRows(t *testing.T) {
	m := newMachine(t)
	rng := newRand(1)
	for _, c := range moves {
		for _, at := range []int{0, 3} {
			t.Run(fmt.Sprintf("%v%v/axis=%d/at=%d", c.dt, c.shape, c.axis, at), func(t *testing.T) {
				axis := (c.axis + len(c.shape)) % len(c.shape)
				rows := random(rng, strided(c.dt, c.gap, c.order, c.shape...))
				n := c.shape[axis]
				full := slices.Clone(c.shape)
				full[axis] = 12
				state := random(rng, op.NewArray(c.dt, full...))

				piece := m.upload(state)
				require.NoError(t, m.set.AppendRows(m.st, Paged{Tensor: piece}, m.upload(rows), c.axis, at))
				want := copied(state)
				require.NoError(t, op.Identity{}.Eval(positions(want, axis, at, n), []*op.Array{rows}, nil))
				require.Equal(t, want.Data, m.get(piece.At, len(want.Data)), "in one piece")

				const pageRows = 4
				full[axis] = pageRows
				page := op.NewArray(c.dt, full...)
				var table []byte
				var pages []driver.Ptr
				for from := 0; from < 12; from += pageRows {
					require.NoError(t, op.Identity{}.Eval(page, []*op.Array{positions(state, axis, from, pageRows)}, nil))
					pages = append(pages, m.put(page.Data))
					table = binary.LittleEndian.AppendUint64(table, uint64(pages[len(pages)-1]))
				}
				dst := Paged{Tensor: Tensor{DType: c.dt, Shape: full, Strides: page.Strides}, Table: m.put(table), PageRows: pageRows}
				require.NoError(t, m.set.AppendRows(m.st, dst, m.upload(rows), c.axis, at))
				for i, p := range pages {
					require.NoError(t, op.Identity{}.Eval(page, []*op.Array{positions(want, axis, i*pageRows, pageRows)}, nil))
					require.Equal(t, page.Data, m.get(p, len(page.Data)), "page %d", i)
				}
			})
		}
	}
}

func TestWriteRows(t *testing.T) {
	m := newMachine(t)
	rng := newRand(2)
	for _, c := range moves {
		for _, at := range []int{0, 3, -1, 13, math.MinInt64, math.MaxInt64} {
			for _, inPlace := range []bool{true, false} {
				t.Run(fmt.Sprintf("%v%v/axis=%d/at=%d/inplace=%v", c.dt, c.shape, c.axis, at, inPlace), func(t *testing.T) {
					axis := (c.axis + len(c.shape)) % len(c.shape)
					rows := random(rng, strided(c.dt, c.gap, c.order, c.shape...))
					full := slices.Clone(c.shape)
					full[axis] = 12
					cache := random(rng, op.NewArray(c.dt, full...))
					in, status := m.upload(cache), m.zeros(StatusBytes)
					out := in
					if !inPlace {
						out = m.upload(random(rng, copied(cache)))
					}
					dt := plan.I64
					if at == 3 {
						dt = plan.I32
					}
					position := startsOf(dt, at)
					require.NoError(t, m.set.WriteRows(m.st, out, in, m.upload(rows), m.upload(position), c.axis, status, 77))
					want := op.NewArray(c.dt, full...)
					err := op.WriteRows{Axis: c.axis}.Eval(want, []*op.Array{cache, rows, position}, nil)
					got := DecodeStatus(m.get(status, StatusBytes))
					if err != nil {
						require.Equal(t, Status{StatusRows, 77, int64(at), 12}, got)
						require.ErrorIs(t, got.Err(), op.ErrShape)
						want = cache
					} else {
						require.NoError(t, got.Err())
					}
					require.Equal(t, want.Data, m.get(out.At, len(want.Data)))
				})
			}
		}
	}
}

func TestCopyRows(t *testing.T) {
	m := newMachine(t)
	rng := newRand(3)
	for _, c := range moves {
		if slices.Contains(c.shape, 0) {
			continue
		}
		for _, n := range []int{0, 1, 4} {
			t.Run(fmt.Sprintf("%v%v/axis=%d/n=%d", c.dt, c.shape, c.axis, n), func(t *testing.T) {
				axis := (c.axis + len(c.shape)) % len(c.shape)
				a, b := slices.Clone(c.shape), slices.Clone(c.shape)
				a[axis], b[axis] = 9, 7
				src, dst := random(rng, op.NewArray(c.dt, a...)), random(rng, op.NewArray(c.dt, b...))
				x, y := m.upload(src), m.upload(dst)
				require.NoError(t, m.set.CopyRows(m.st, Piece{y.At, 7}, 3, Piece{x.At, 9}, 5, n, c.dt, c.shape, axis))
				require.NoError(t, op.Identity{}.Eval(positions(dst, axis, 3, n), []*op.Array{positions(src, axis, 5, n)}, nil))
				require.Equal(t, dst.Data, m.get(y.At, len(dst.Data)))
			})
		}
	}
	require.Error(t, m.set.CopyRows(m.st, Piece{256, 7}, 3, Piece{256, 9}, 5, 5, plan.F32, []int{1, 9}, 1))
}

func TestStatus(t *testing.T) {
	b := make([]byte, StatusBytes)
	require.NoError(t, DecodeStatus(b).Err())
	binary.LittleEndian.PutUint32(b, 1|5<<8)
	binary.LittleEndian.PutUint32(b[4:], 3)
	binary.LittleEndian.PutUint64(b[8:], math.MaxUint64)
	s := DecodeStatus(b)
	require.Equal(t, Status{StatusIndex, 5, -1, 3}, s)
	require.EqualError(t, s.Err(), op.IndexError(-1, 3).Error())
	binary.LittleEndian.PutUint32(b, 9)
	require.Error(t, DecodeStatus(b).Err())
}
