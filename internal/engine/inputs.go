package engine

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/transport"
)

// InputSize is the size of input i in bytes.
func (c *Call) InputSize(i int) int {
	return c.b.bound.Bytes(c.b.prog.Plan().Inputs[i].Value)
}

// AllocInput returns memory for input i, owned by the call.
func (c *Call) AllocInput(i int) ([]byte, error) {
	n := c.InputSize(i)
	if c.staged[i] == nil {
		m, err := c.s.e.host.get(max(n, 1))
		if err != nil {
			return nil, err
		}
		c.staged[i] = m
	}
	c.b.place.Inputs[i] = device.Input{Data: c.staged[i][:n]}
	return c.staged[i][:n], nil
}

// SetInput uses data for input i; it must stay unchanged until Release.
func (c *Call) SetInput(i int, data []byte) error {
	if n := c.InputSize(i); len(data) != n {
		in := c.b.prog.Plan().Inputs[i]
		return fmt.Errorf("%w: input %q wants %d bytes for %v%v, got %d", transport.ErrShape, in.Name, n, c.b.prog.Plan().Values[in.Value].Spec.DType, c.b.bound.Shape(in.Value), len(data))
	} else if n > 0 && uintptr(unsafe.Pointer(&data[0]))%8 != 0 {
		b, err := c.AllocInput(i)
		copy(b, data)
		return err
	}
	c.b.place.Inputs[i] = device.Input{Data: data}
	return nil
}

// SetHandle uses a retained value for input i, which is not freed until
// Release.
func (c *Call) SetHandle(i int, h transport.Handle) error {
	k, _, err := c.s.use(h)
	if err != nil {
		return err
	}
	c.used = append(c.used, k)
	in := c.b.prog.Plan().Inputs[i]
	dt, shape := c.b.prog.Plan().Values[in.Value].Spec.DType, c.b.bound.Shape(in.Value)
	if k.dtype != dt || !slices.Equal(k.shape, shape) {
		return fmt.Errorf("%w: input %q wants %v%v, the handle is %v%v", transport.ErrShape, in.Name, dt, shape, k.dtype, k.shape)
	}
	c.b.place.Inputs[i] = device.Input{Buffer: k.mem}
	return nil
}
