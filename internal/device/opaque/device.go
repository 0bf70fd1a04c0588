// Package opaque is a device for tests. Only the device can read its memory,
// and it runs late: queued work begins when something waits for it, or some
// time earlier. It computes by the operators' references, step by step. It
// finds code that treats device memory as memory of this process, or a queued
// call as a completed one.
package opaque

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// PageRows is the number of positions in a page of carried state: few, so that
// every state that can be paged is.
const PageRows = 4

// Device implements [device.Device].
type Device struct {
	opts   device.Options
	faults *Faults // nil for none
	memory memory
	queued atomic.Uint64  // stretches, which decides when each begins
	drains sync.WaitGroup // queues that run
}

// Open implements [device.Open]. Weights of 8 bits are an error.
func Open(o device.Options) (device.Device, error) { return open(o, nil) }

func open(o device.Options, faults *Faults) (*Device, error) {
	if o.Int8Weights {
		return nil, fmt.Errorf("%w: the opaque device holds no weights in 8 bits", plan.ErrInvalid)
	}
	if o.Budget == nil {
		o.Budget = budget.New(0)
	}
	return &Device{opts: o, faults: faults, memory: memory{regions: map[uint64]*region{}}}, nil
}

// Info implements [device.Device].
func (*Device) Info() device.Info {
	return device.Info{Kind: "opaque", Path: "reference", PageRows: PageRows}
}

// Capabilities implements [device.Device]: it lacks nothing.
func (*Device) Capabilities() device.Capabilities { return device.Capabilities{} }

// Compile implements [device.Device].
func (d *Device) Compile(p *program.Program, w *op.Work) (device.Code, error) {
	if err := w.Spend(len(p.Plan().Values) + len(p.Plan().Steps)); err != nil {
		return nil, err
	}
	c := &code{d: d, prog: p, layouts: map[int]device.WeightLayout{}}
	for v := range p.Plan().Values {
		if x := &p.Plan().Values[v]; x.Kind == plan.KindWeight {
			c.layouts[v] = layoutOf(x)
		}
	}
	c.findJoint()
	return c, nil
}

// Begin implements [device.Device].
func (*Device) Begin() {}

// End implements [device.Device].
func (*Device) End() {}

// Close implements [device.Device]. It panics if any memory has not been freed.
func (d *Device) Close() {
	d.drains.Wait()
	d.memory.close()
}

// fault lets tests panic at a named place.
func (d *Device) fault(at string) {
	if d.opts.Fault != nil {
		d.opts.Fault(at)
	}
}
