package cuda

import (
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
)

// launchCopy copies, and repeats what broadcasts.
func launchCopy(r *run, g *group) error { return r.d.kernels.Copy(r.st, *g.out, *g.in[0]) }

// launchReshape copies in row-major order of the input's shape.
func launchReshape(r *run, g *group) error {
	var strides axes
	return r.d.kernels.Copy(r.st, rowMajor(g.in[0], g.out.At, &strides), *g.in[0])
}

func launchTranspose(r *run, g *group) error {
	var strides axes
	in := *g.in[0]
	perm := g.op.(op.Transpose).Perm
	for i, p := range perm {
		strides[i] = in.Strides[p]
	}
	in.Shape, in.Strides = g.out.Shape, strides[:len(perm)]
	return r.d.kernels.Copy(r.st, *g.out, in)
}

func launchConcat(r *run, g *group) error {
	axis := axisOf(g.op.(op.Concat).Axis, len(g.out.Shape))
	at := 0
	for _, in := range g.in {
		if in.Len() > 0 {
			part := *g.out
			part.Shape = in.Shape
			part.At += driver.Ptr(at * part.Strides[axis] * part.DType.Size())
			if err := r.d.kernels.Copy(r.st, part, *in); err != nil {
				return err
			}
		}
		at += in.Shape[axis]
	}
	return nil
}

func launchPointwise(r *run, g *group) error {
	switch len(g.in) {
	case 1:
		return r.d.kernels.Pointwise(r.st, g.op, *g.out, *g.in[0])
	case 2:
		return r.d.kernels.Pointwise(r.st, g.op, *g.out, *g.in[0], *g.in[1])
	}
	return r.d.kernels.Pointwise(r.st, g.op, *g.out, *g.in[0], *g.in[1], *g.in[2])
}
