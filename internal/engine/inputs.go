package engine

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/genie-sdk/go/transport"
)

// InputSize is the size of input i in bytes.
func (c *Call) InputSize(i int) int {
	a := &c.b.arrays[c.b.prog.Plan().Inputs[i].Value]
	return a.Len() * a.DType.Size()
}

// AllocInput gives memory for input i, owned by the call.
func (c *Call) AllocInput(i int) ([]byte, error) {
	n := c.InputSize(i)
	if c.staged[i] == nil {
		m, err := c.s.e.arenas.get(max(n, 1))
		if err != nil {
			return nil, err
		}
		c.staged[i] = m
	}
	c.inputs[i] = c.staged[i][:n]
	return c.inputs[i], nil
}

// SetInput uses data for input i; it must stay as it is until Release.
func (c *Call) SetInput(i int, data []byte) error {
	if n := c.InputSize(i); len(data) != n {
		in := c.b.prog.Plan().Inputs[i]
		a := &c.b.arrays[in.Value]
		return fmt.Errorf("%w: input %q wants %d bytes for %v%v, got %d", transport.ErrShape, in.Name, n, a.DType, a.Shape, len(data))
	} else if n > 0 && uintptr(unsafe.Pointer(&data[0]))%8 != 0 {
		b, err := c.AllocInput(i)
		copy(b, data)
		return err
	}
	c.inputs[i] = data
	return nil
}

// SetHandle uses a kept value for input i.
func (c *Call) SetHandle(i int, h transport.Handle) error {
	k, err := c.s.lookup(h)
	if err != nil {
		return err
	}
	in := c.b.prog.Plan().Inputs[i]
	a := &c.b.arrays[in.Value]
	if k.t.DType != a.DType || !slices.Equal(k.t.Shape, a.Shape) {
		return fmt.Errorf("%w: input %q wants %v%v, the handle is %v%v", transport.ErrShape, in.Name, a.DType, a.Shape, k.t.DType, k.t.Shape)
	}
	c.inputs[i] = k.t.Data
	return nil
}
