package kernels

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// ropeArgs mirrors RoPE of rope.cu.
type ropeArgs struct {
	y, x, cos, sin                 driver.Ptr
	half                           int64
	yStep, xStep, cosStep, sinStep int64
	interleaved, _                 uint32
	index                          index
	strides                        [4]strides
}

// RoPE rotates pairs of elements of each row, as [op.RoPE] does.
func (s *Set) RoPE(st driver.Stream, o op.RoPE, out, x, cos, sin Tensor) error {
	last := len(out.Shape) - 1
	if last < 1 || last >= plan.MaxRank || len(x.Shape) != last+1 || len(cos.Shape) == 0 || len(sin.Shape) == 0 {
		return fmt.Errorf("%w: rotation of rank %d", op.ErrShape, last+1)
	}
	n, half := out.Shape[last], cos.Shape[len(cos.Shape)-1]
	if sin.Shape[len(sin.Shape)-1] != half || 2*half > n || x.Shape[last] != n {
		return fmt.Errorf("%w: rotation of %d elements by %d angles", op.ErrShape, n, half)
	}
	a := ropeArgs{half: int64(half), interleaved: bit(o.Interleaved)}
	// The kernel finds the elements of a row: they are one to the index, as many
	// as a row has threads.
	var shapes [4][plan.MaxRank]int
	var steps [4]int
	rows := [4]*Tensor{&out, &x, &cos, &sin}
	for i, t := range rows {
		k := len(t.Shape) - 1
		steps[i] = t.Strides[k]
		copy(shapes[i][:], t.Shape[:k])
		if shapes[i][k] = 1; i == 0 {
			shapes[i][k] = n - half
		}
		t.Shape = shapes[i][:k+1]
	}
	a.yStep, a.xStep, a.cosStep, a.sinStep = int64(steps[0]), int64(steps[1]), int64(steps[2]), int64(steps[3])
	all, err := over(&out, &x, &cos, &sin)
	if err != nil {
		return err
	}
	all.stride[0][0] = 0
	return all.split(s.indexed, 1, func(o operands) error {
		a := a
		a.y, a.x, a.cos, a.sin, a.index = o.at[0], o.at[1], o.at[2], o.at[3], o.index()
		a.strides = [4]strides{o.strides(0), o.strides(1), o.strides(2), o.strides(3)}
		return launch(s, st, "rope", cover(o.len()), line, 0, &a)
	})
}
