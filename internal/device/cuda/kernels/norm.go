package kernels

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// layerNormArgs mirrors LayerNorm of norm.cu.
type layerNormArgs struct {
	y, x, gamma, beta                         driver.Ptr
	n                                         int64
	eps                                       float32
	vectors                                   uint32
	yStride, xStride, gammaStride, betaStride int64
	rows                                      index
	strides                                   [2]strides
}

// rmsNormArgs mirrors RMSNorm of norm.cu.
type rmsNormArgs struct {
	y, x, weight                   driver.Ptr
	n                              int64
	eps, offset                    float32
	vectors, _                     uint32
	yStride, xStride, weightStride int64
	rows                           index
	strides                        [2]strides
}

// softmaxArgs mirrors Softmax of norm.cu.
type softmaxArgs struct {
	y, x                driver.Ptr
	n, yStride, xStride int64
	vectors, _          uint32
	rows                index
	strides             [2]strides
}

// batchNormArgs mirrors BatchNorm of norm.cu.
type batchNormArgs struct {
	y, x, gamma, beta, mean, variance driver.Ptr
	eps                               float32
	_                                 uint32
	index                             index
	strides                           [6]strides
}

// causalMaskArgs mirrors CausalMask of norm.cu.
type causalMaskArgs struct {
	y, x, start    driver.Ptr
	wide, _        uint32
	window         int64
	queries, keys  int64
	yQuery, xQuery int64
	index          index
	strides        [3]strides
}

const (
	// perThread elements of a reduction are those of a thread, up to
	// perThread*maxTeam.
	perThread = 8
	maxTeam   = 1024
	warp      = 32
	// warps is the number of teams of one warp in a block.
	warps = 4
	// maxGridY is the largest grid along y.
	maxGridY = 1<<16 - 1
)

// team is the number of threads that reduce n elements, which depends on n alone.
func team(n int) int {
	t := warp
	for t < maxTeam && t*perThread < n {
		t *= 2
	}
	return t
}

// teams is the grid and the block for a number of teams of t threads.
func teams(rows, t int) (grid, block driver.Dim) {
	per := 1
	if t == warp {
		per = min(warps, rows)
	}
	return driver.Dim{X: (rows + per - 1) / per, Y: 1, Z: 1}, driver.Dim{X: t, Y: per, Z: 1}
}

// without drops an axis, counted from the innermost one, and returns its strides.
func (o *operands) without(d int) (strides [maxOperands]int) {
	for k := range o.count {
		strides[k] = o.stride[k][d]
	}
	for ; d+1 < o.rank; d++ {
		o.move(d, d+1)
	}
	o.rank--
	return strides
}

// aligned reports whether all operands' rows of n elements, stride elements
// apart within a row, can be accessed by vectors of 4 elements of float32.
func (o *operands) aligned(n int, stride *[maxOperands]int) bool {
	if n%4 != 0 {
		return false
	}
	for k := range o.count {
		if stride[k] != 1 || o.at[k]%16 != 0 {
			return false
		}
		for d := range o.rank {
			if o.stride[k][d]%4 != 0 {
				return false
			}
		}
	}
	return true
}

// overRows are an output, an input and two parameters of its rows; inner are the
// distances of elements in a row. A parameter without a type is absent, and has no
// address.
func overRows(out, x, gamma, beta *Tensor) (all operands, inner [maxOperands]int, n int, err error) {
	last := len(out.Shape) - 1
	for _, p := range [...]*Tensor{gamma, beta} {
		if p.DType == plan.Invalid && last >= 0 {
			*p = Tensor{Shape: out.Shape[last:], Strides: out.Strides[last:]}
		}
		if len(p.Shape) != 1 {
			return all, inner, 0, fmt.Errorf("%w: normalisation of rank %d with a parameter of rank %d", op.ErrShape, last+1, len(p.Shape))
		}
	}
	if all, err = over(out, x, gamma, beta); err != nil {
		return all, inner, 0, err
	}
	if n = all.size[0]; n > 0 {
		inner = all.without(0)
		all.merge()
	}
	return all, inner, n, nil
}

// RMSNorm normalises the last axis, as [op.RMSNorm] does, with a weight or, if
// that has no type, without.
func (s *Set) RMSNorm(st driver.Stream, o op.RMSNorm, out, x, weight Tensor) error {
	var none Tensor
	all, inner, n, err := overRows(&out, &x, &weight, &none)
	if err != nil || n == 0 {
		return err
	}
	name, t := "rms_norm", team(n)
	if n > t*perThread {
		name = "rms_norm_long"
	}
	return all.split(s.indexed, 0, func(x operands) error {
		a := rmsNormArgs{
			y: x.at[0], x: x.at[1], weight: x.at[2], n: int64(n), eps: float32(o.Eps), offset: float32(o.Offset), vectors: bit(x.aligned(n, &inner)),
			yStride: int64(inner[0]), xStride: int64(inner[1]), weightStride: int64(inner[2]),
			rows: x.index(), strides: [2]strides{x.strides(0), x.strides(1)},
		}
		grid, block := teams(x.len(), t)
		return launch(s, st, name, grid, block, 0, &a)
	})
}

// LayerNorm normalises the last axis, as [op.LayerNorm] does. A parameter without a
// type is absent.
func (s *Set) LayerNorm(st driver.Stream, out, x, gamma, beta Tensor, eps float64) error {
	all, inner, n, err := overRows(&out, &x, &gamma, &beta)
	if err != nil || n == 0 {
		return err
	}
	name, t := "layer_norm", team(n)
	if n > t*perThread {
		name = "layer_norm_long"
	}
	return all.split(s.indexed, 0, func(o operands) error {
		a := layerNormArgs{
			y: o.at[0], x: o.at[1], gamma: o.at[2], beta: o.at[3], n: int64(n), eps: float32(eps), vectors: bit(o.aligned(n, &inner)),
			yStride: int64(inner[0]), xStride: int64(inner[1]), gammaStride: int64(inner[2]), betaStride: int64(inner[3]),
			rows: o.index(), strides: [2]strides{o.strides(0), o.strides(1)},
		}
		grid, block := teams(o.len(), t)
		return launch(s, st, name, grid, block, 0, &a)
	})
}

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// Softmax is exp(x - max) / sum along an axis.
func (s *Set) Softmax(st driver.Stream, out, x Tensor, axis int) error {
	return s.soften(st, "softmax", out, x, axis)
}

// LogSoftmax is its logarithm.
func (s *Set) LogSoftmax(st driver.Stream, out, x Tensor, axis int) error {
	return s.soften(st, "log_softmax", out, x, axis)
}

func (s *Set) soften(st driver.Stream, name string, out, x Tensor, axis int) error {
	axis, err := axisOf(axis, len(out.Shape))
	if err != nil {
		return err
	}
	all, err := over(&out, &x)
	if err != nil {
		return err
	}
	d := all.rank - 1 - axis
	n := all.size[d]
	if n == 0 {
		return nil
	}
	inner := all.without(d)
	all.merge()
	t := team(n)
	if n > t*perThread {
		name += "_long"
	}
	return all.split(s.indexed, 0, func(o operands) error {
		a := softmaxArgs{
			y: o.at[0], x: o.at[1], n: int64(n), yStride: int64(inner[0]), xStride: int64(inner[1]), vectors: bit(o.aligned(n, &inner)),
			rows: o.index(), strides: [2]strides{o.strides(0), o.strides(1)},
		}
		grid, block := teams(o.len(), t)
		return launch(s, st, name, grid, block, 0, &a)
	})
}

// BatchNorm normalises channels, the second axis, as [op.BatchNorm] does.
func (s *Set) BatchNorm(st driver.Stream, out, x, gamma, beta, mean, variance Tensor, eps float64) error {
	rank := len(out.Shape)
	if rank < 2 || rank > plan.MaxRank {
		return fmt.Errorf("%w: batch norm of rank %d", op.ErrShape, rank)
	}
	// Parameters are [channels, 1, ...].
	params := [4]Tensor{gamma, beta, mean, variance}
	var shape [plan.MaxRank]int
	var strides4 [4][plan.MaxRank]int
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = out.Shape[1]
	for i := range params {
		p := params[i]
		if len(p.Shape) != 1 || p.Shape[0] != out.Shape[1] {
			return fmt.Errorf("%w: batch norm parameter of rank %d", op.ErrShape, len(p.Shape))
		}
		strides4[i][0] = p.Strides[0]
		params[i].Shape, params[i].Strides = shape[:rank-1], strides4[i][:rank-1]
	}
	all, err := over(&out, &x, &params[0], &params[1], &params[2], &params[3])
	if err != nil {
		return err
	}
	all.sort()
	return all.split(s.indexed, 0, func(o operands) error {
		a := batchNormArgs{y: o.at[0], x: o.at[1], gamma: o.at[2], beta: o.at[3], mean: o.at[4], variance: o.at[5], eps: float32(eps), index: o.index()}
		for k := range a.strides {
			a.strides[k] = o.strides(k)
		}
		return launch(s, st, "batch_norm", cover(o.len()), line, 0, &a)
	})
}

// CausalMask masks scores [batch, ..., q, k], as [op.CausalMask] does. start is
// i32 or i64 of [batch], or no tensor at all.
func (s *Set) CausalMask(st driver.Stream, out, x, start Tensor, window int) error {
	rank := len(out.Shape)
	if rank < 2 || rank > plan.MaxRank {
		return fmt.Errorf("%w: causal mask of rank %d", op.ErrShape, rank)
	}
	all, err := over(&out, &x)
	if err != nil {
		return err
	}
	a := causalMaskArgs{window: int64(window), keys: int64(all.size[0]), queries: int64(all.size[1])}
	if start.DType != plan.Invalid {
		if rank < 3 || len(start.Shape) != 1 || start.Shape[0] != out.Shape[0] || !start.DType.IsInt() {
			return fmt.Errorf("%w: causal mask start of rank %d for scores of rank %d", op.ErrShape, len(start.Shape), rank)
		}
		all.count++
		all.at[2], all.bytes[2], all.stride[2][rank-1] = start.At, start.DType.Size(), start.Strides[0]
		a.wide = bit(start.DType == plan.I64)
	}
	queries := all.without(1)
	a.yQuery, a.xQuery = int64(queries[0]), int64(queries[1])
	if a.queries == 0 {
		return nil
	}
	return all.split(s.indexed, 1, func(o operands) error {
		a := a
		a.y, a.x, a.start, a.index = o.at[0], o.at[1], o.at[2], o.index()
		a.strides = [3]strides{o.strides(0), o.strides(1), o.strides(2)}
		grid := cover(o.len())
		grid.Y = min(int(a.queries), maxGridY)
		return launch(s, st, "causal_mask", grid, line, 0, &a)
	})
}
