package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

const (
	// maxFolded is the size, in bytes, up to which the value of an operator on
	// constants becomes a constant although it is larger than its inputs. A
	// table of positions or of rotations is larger: it is computed where it is
	// used and not shipped.
	maxFolded = 4 << 10
	// maxFoldedInput bounds the constants that folding reads.
	maxFoldedInput = 1 << 20
	// maxFoldedTotal bounds the constants that folding makes for one program.
	maxFoldedTotal = 8 << 20
	// maxFoldWork bounds the arithmetic of one folding.
	maxFoldWork = 1 << 20
)

// fold computes an operator whose inputs are all constants, by its reference
// kernel.
func (b *builder) fold(c *node) (*node, bool) {
	if _, own := c.op.(op.Custom); own || len(c.in) == 0 {
		return nil, false // a user's code runs in a run
	}
	size := 0
	for _, x := range c.in {
		if !x.constant {
			return nil, false
		}
		size += len(x.data)
	}
	shape, ok := static(c.spec.Shape)
	if !ok || size > maxFoldedInput {
		return nil, false
	}
	bytes := int64(c.spec.DType.Size())
	for _, d := range shape {
		if bytes, ok = plan.MulChecked(bytes, int64(d)); !ok {
			return nil, false
		}
	}
	if bytes > int64(max(maxFolded, size)) || b.folded+int(bytes) > maxFoldedTotal {
		return nil, false
	}
	in, shapes, specs := make([]*op.Array, len(c.in)), make([][]int, len(c.in)), make([]plan.Spec, len(c.in))
	for i, x := range c.in {
		s, ok := static(x.spec.Shape)
		if !ok {
			return nil, false
		}
		in[i] = &op.Array{DType: x.spec.DType, Shape: s, Strides: op.ContiguousStrides(s), Data: aligned(x.data)}
		shapes[i], specs[i] = s, x.spec
	}
	if c.op.FLOPs(shapes, shape) > maxFoldWork {
		return nil, false
	}
	if k, ok := c.op.(op.Conditional); ok {
		dims, _ := k.Conditions(specs)
		for _, d := range dims {
			if n, ok := d.Const(); !ok || n < 0 {
				return nil, false // it fails when it runs, and says so
			}
		}
	}
	out := op.NewArray(c.spec.DType, shape...)
	if err := c.op.Eval(out, in, nil); err != nil {
		return nil, false // an index outside of a table: it fails when it runs
	}
	b.folded += int(bytes)
	return b.constBytes(c.spec.DType, out.Data, shape...), true
}

// aligned is data at an address that its element type may have: a slice of a
// file or a message need not be.
func aligned(data []byte) []byte {
	return append(make([]byte, 0, len(data)), data...)
}
