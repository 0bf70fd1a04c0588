package kernels

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport/plan"
)

const maxBatch = plan.MaxRank - 2

// matmulArgs mirrors MatMul of matmul.cu.
type matmulArgs struct {
	out, a, b              driver.Ptr
	m, n, k, axes          uint32
	am, ak, bk, bn, om, on uint64
	tiles                  uint64
	size                   [maxBatch]uint32
	sa, sb, so             [maxBatch]uint64
}

// MatMul is the product of the last two axes of a and b, each transposed first
// if its flag is set, with any strides. Leading axes broadcast. An element has
// the bits that [Set.Product] gives it.
func (s *Set) MatMul(st driver.Stream, out, a, b Tensor, transA, transB bool) error {
	ro, ra, rb := len(out.Shape)-2, len(a.Shape)-2, len(b.Shape)-2
	if ro < 0 || ra < 0 || rb < 0 || ro > maxBatch || ra > ro || rb > ro {
		return fmt.Errorf("genie: kernels: a matmul of %v and %v to %v", a.Shape, b.Shape, out.Shape)
	}
	x := matmulArgs{out: out.At, a: a.At, b: b.At, axes: uint32(ro)}
	m, k := a.Shape[ra], a.Shape[ra+1]
	am, ak := a.Strides[ra], a.Strides[ra+1]
	if transA {
		m, k, am, ak = k, m, ak, am
	}
	kb, n := b.Shape[rb], b.Shape[rb+1]
	bk, bn := b.Strides[rb], b.Strides[rb+1]
	if transB {
		kb, n, bk, bn = n, kb, bn, bk
	}
	if kb != k || out.Shape[ro] != m || out.Shape[ro+1] != n || max(m, n, k) > maxAxis {
		return fmt.Errorf("genie: kernels: a matmul of %v and %v to %v", a.Shape, b.Shape, out.Shape)
	}
	x.m, x.n, x.k = uint32(m), uint32(n), uint32(k)
	x.am, x.ak, x.bk, x.bn = uint64(am), uint64(ak), uint64(bk), uint64(bn)
	x.om, x.on = uint64(out.Strides[ro]), uint64(out.Strides[ro+1])
	batches := 1
	for d := range ro {
		size := out.Shape[d]
		sa, oka := batchStride(&a, d-ro+ra, size)
		sb, okb := batchStride(&b, d-ro+rb, size)
		if !oka || !okb || size > maxAxis {
			return fmt.Errorf("genie: kernels: a matmul of %v and %v to %v", a.Shape, b.Shape, out.Shape)
		}
		x.size[d], x.sa[d], x.sb[d], x.so[d] = uint32(size), uint64(sa), uint64(sb), uint64(out.Strides[d])
		batches *= size
	}
	if batches*m*n == 0 {
		return nil
	}
	tile, name := 64, "matmul_64"
	if m <= 16 {
		tile, name = 16, "matmul_16"
	}
	x.tiles = uint64(batches) * uint64((m+tile-1)/tile) * uint64((n+63)/64)
	grid := driver.Dim{X: int(min(x.tiles, 1<<20)), Y: 1, Z: 1}
	return launch(s, st, name, grid, driver.Dim{X: threads, Y: 1, Z: 1}, 0, &x)
}

// batchStride is the stride of a leading axis of an operand, 0 where it is
// broadcast. ok is false if the axis has another size.
func batchStride(t *Tensor, d, size int) (stride int, ok bool) {
	if d < 0 || t.Shape[d] == 1 {
		return 0, true
	}
	return t.Strides[d], t.Shape[d] == size
}
