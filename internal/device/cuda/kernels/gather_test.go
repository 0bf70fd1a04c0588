package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// TestIndicesOutOfRange holds that a bad index is the reference's error, and
// that no other row is affected.
func TestIndicesOutOfRange(t *testing.T) {
	m := newRig(t)
	for _, dt := range []plan.DType{plan.I32, plan.I64} {
		for _, bad := range []int{-1, 7, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
			if dt == plan.I32 && int(int32(bad)) != bad {
				continue
			}
			for _, width := range []int{3, 64} {
				indices := op.NewArray(dt, 3)
				indices.SetInt(0, 6)
				indices.SetInt(1, bad)
				table, rows := floats(7, width).make(1), floats(3, 7, width).make(2)
				for o, in := range map[op.Op][]*op.Array{op.Embedding{}: {table, indices}, op.Pick{}: {rows, indices}} {
					_, want := reference(t, o, in)
					require.ErrorIs(t, want, op.ErrIndex)
					_, err := m.compute(o, in, dense, dense)
					require.EqualError(t, err, want.Error())
					require.ErrorIs(t, err, op.ErrIndex)
				}
			}
		}
	}
}

// TestTableWithoutRows has no index that is in range.
func TestTableWithoutRows(t *testing.T) {
	m := newRig(t)
	indices := op.NewArray(plan.I32, 2)
	for o, in := range map[op.Op][]*op.Array{op.Embedding{}: {op.NewArray(plan.F32, 0, 4), indices}, op.Pick{}: {op.NewArray(plan.F32, 2, 0, 4), indices}} {
		_, want := reference(t, o, in)
		_, err := m.compute(o, in, dense, dense)
		require.EqualError(t, err, want.Error())
	}
}

// halves stores a table in a 16-bit type. The result is its rounded elements.
func halves(table *op.Array, as plan.DType) (stored, rounded *op.Array) {
	stored, rounded = op.NewArray(as, table.Shape...), op.NewArray(plan.F32, table.Shape...)
	narrow := kernels.F32ToBF16
	if as == plan.F16 {
		narrow = kernels.F32ToF16
	}
	narrow(stored.U16(), table.F32())
	for i, x := range stored.U16() {
		rounded.F32()[i] = op.Widen(as, x)
	}
	return stored, rounded
}

// TestEmbeddingOfHalves looks up rows of tables in 16-bit types.
func TestEmbeddingOfHalves(t *testing.T) {
	m := newRig(t)
	for _, as := range []plan.DType{plan.F16, plan.BF16} {
		stored, rounded := halves(floats(9, 40).make(3), as)
		indices := ints(plan.I32, 9, 2, 3).make(4)
		want, err := reference(t, op.Embedding{}, []*op.Array{rounded, indices})
		require.NoError(t, err)
		for _, from := range []memory{dense, turned, ragged, shifted} {
			out := m.room(plan.F32, want.Shape, dense)
			require.NoError(t, m.operate(op.Embedding{}, out, []Tensor{m.put(stored, from), m.put(indices, from)}))
			requireBits(t, want, m.get(out, dense), as.String())
		}
	}
}

// TestEmbeddingOfPackedWeights looks up rows, and columns, of packed weights.
func TestEmbeddingOfPackedWeights(t *testing.T) {
	m := newRig(t)
	for _, as := range []plan.DType{plan.F32, plan.F16, plan.BF16} {
		for _, shape := range [][2]int{{1, 1}, {9, 40}, {70, 130}, {129, 7}} {
			for _, transposed := range []bool{false, true} {
				table := floats(shape[0], shape[1]).make(5)
				stored, rounded := table, table
				if as != plan.F32 {
					stored, rounded = halves(table, as)
				}
				k, n := shape[0], shape[1]
				if transposed {
					k, n = n, k
				}
				w := Packed{At: m.alloc(int(PackedBytes(as, k, n))), Elem: as, K: k, N: n}
				require.NoError(t, m.set.Pack(m.st, w.At, as, k, n, m.put(stored, dense).At, transposed, 0, shape[0]))
				indices := ints(plan.I64, shape[0], 3, 2).make(6)
				want, err := reference(t, op.Embedding{}, []*op.Array{rounded, indices})
				require.NoError(t, err)
				for _, to := range []memory{dense, turned, ragged, shifted} {
					out := m.room(plan.F32, want.Shape, to)
					status := m.alloc(StatusBytes)
					require.NoError(t, m.set.Fill(m.st, status, 0, StatusBytes/4))
					require.NoError(t, m.set.EmbeddingPacked(m.st, out, &w, transposed, m.put(indices, dense), status, 0))
					requireBits(t, want, m.get(out, to), fmt.Sprint(as, shape, transposed))
				}
				bad := op.NewArray(plan.I32, 1)
				bad.SetInt(0, shape[0])
				status := m.alloc(StatusBytes)
				require.NoError(t, m.set.Fill(m.st, status, 0, StatusBytes/4))
				require.NoError(t, m.set.EmbeddingPacked(m.st, m.room(plan.F32, []int{1, shape[1]}, dense), &w, transposed, m.put(bad, dense), status, 3))
				b := make([]byte, StatusBytes)
				m.out(b, status)
				require.Equal(t, Status{StatusIndex, 3, int64(shape[0]), int64(shape[0])}, DecodeStatus(b))
			}
		}
	}
}

// TestCopyOfHalves copies elements of two bytes.
func TestCopyOfHalves(t *testing.T) {
	m := newRig(t)
	stored, _ := halves(floats(3, 40, 70).make(3), plan.BF16)
	for _, from := range []memory{dense, turned, ragged, shifted} {
		for _, to := range []memory{dense, turned, ragged, shifted} {
			out := m.room(plan.BF16, stored.Shape, to)
			require.NoError(t, m.set.Copy(m.st, out, m.put(stored, from)))
			requireBits(t, stored, m.get(out, to), fmt.Sprint(from, to))
		}
	}
}
