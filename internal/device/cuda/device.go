package cuda

import (
	"fmt"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/transport/plan"
)

// pageRows is the number of positions in a page of carried state: the key block
// of attention.
const pageRows = 64

// Options configure a CUDA device.
type Options struct {
	// Memory is the device memory that it may take, in bytes; 0 for what is
	// free when it is opened, except for a reserve.
	Memory int64
}

// Open returns a function that opens device number ordinal of a driver in a
// context of its own. Weights of 8 bits are an error.
func Open(drv driver.Driver, ordinal int, o Options) device.Open {
	return func(of device.Options) (device.Device, error) {
		if of.Int8Weights {
			return nil, fmt.Errorf("%w: a CUDA device holds no weights in 8 bits", plan.ErrInvalid)
		}
		if of.Budget == nil {
			of.Budget = budget.New(0)
		}
		d := &Device{opts: of, ordinal: ordinal, quiet: make(chan struct{}), freed: make(chan struct{})}
		ctx, err := drv.Open(ordinal)
		if err != nil {
			return nil, fmt.Errorf("genie: device %s: %w", d.name(), typed(err)) // there is no context to lose
		}
		d.ctx, d.props = ctx, ctx.Properties()
		d.pace = d.paceOf()
		if err := d.start(o); err != nil {
			d.Close()
			return nil, fmt.Errorf("genie: device %s: %w", d.name(), err)
		}
		return d, nil
	}
}

// start loads the kernels and measures the memory.
func (d *Device) start(o Options) (err error) {
	if d.kernels, err = kernels.Load(d.ctx); err != nil {
		return d.check(err)
	}
	limit, err := d.usableMemory(o.Memory)
	if err != nil {
		return err
	}
	d.memory = memory{d: d, limit: limit, spare: map[int64][]driver.Ptr{}}
	d.staging = staging{d: d, turns: make(chan struct{}, transfers), spare: map[int][]*pinned{}}
	return nil
}

func (d *Device) name() string { return fmt.Sprintf("cuda:%d", d.ordinal) }

// Info implements [device.Device].
func (d *Device) Info() device.Info {
	return device.Info{Kind: "cuda", Path: fmt.Sprintf("cuda-sm%d%d", d.props.Major, d.props.Minor), PageRows: pageRows, Memory: d.memory.limit}
}

// Begin implements [device.Device].
func (*Device) Begin() {}

// End implements [device.Device].
func (*Device) End() {}

// Close implements [device.Device].
func (d *Device) Close() {
	if d.usable() == nil {
		d.destroy()
	}
	d.ends.Wait()
}

// destroy destroys the context, and with it everything on the device.
func (d *Device) destroy() { _ = d.ctx.Close() } // never fails

// fault lets tests panic at a named place.
func (d *Device) fault(at string) {
	if d.opts.Fault != nil {
		d.opts.Fault(at)
	}
}
