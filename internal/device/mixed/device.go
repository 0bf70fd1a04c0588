// Package mixed combines a device with the CPU: groups with an operator that
// the device lacks run on the CPU, all others on the device.
//
// Every buffer is memory of the device. The part that the CPU reads or writes
// has a copy in memory of this process, which is made at first need and counts
// in the memory budget. Either side may have the newer content; it is copied to
// the other when that reads it, see [buffer]. So a state that only the CPU
// uses, such as a cache for an attention that the device lacks, is not copied
// at all.
package mixed

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// Options select the devices to combine.
type Options struct {
	// Primary opens the device, and CPU the one that computes what the first
	// lacks: a device whose memory this process can address.
	Primary, CPU device.Open
	// Log, which may be nil, gets one record for each compiled plan with its
	// operators on the CPU.
	Log *slog.Logger
}

// Device implements [device.Device].
type Device struct {
	primary, cpu device.Device
	can          device.Capabilities // the primary's
	budget       *budget.Budget
	log          *slog.Logger
}

// Open combines two devices. It returns the primary alone if that lacks
// nothing.
func Open(o Options) device.Open {
	return func(opts device.Options) (device.Device, error) {
		primary, err := o.Primary(opts)
		if err != nil {
			return nil, err
		}
		d := &Device{primary: primary, can: primary.Capabilities(), budget: opts.Budget, log: o.Log}
		if d.can.Lacks == nil {
			return primary, nil
		}
		if d.cpu, err = o.CPU(opts); err != nil {
			primary.Close()
			return nil, err
		}
		if !d.cpu.Info().HostAddressable {
			d.Close()
			return nil, fmt.Errorf("genie: the device %s cannot stand in for another: this process cannot address its memory", d.cpu.Info().Kind)
		}
		if d.budget == nil {
			d.budget = budget.New(0)
		}
		if d.log == nil {
			d.log = slog.New(slog.DiscardHandler)
		}
		return d, nil
	}
}

// Info implements [device.Device]. Pages suit both devices, and outputs are copied,
// since either may have them.
func (d *Device) Info() device.Info {
	a, b := d.primary.Info(), d.cpu.Info()
	return device.Info{
		Kind: a.Kind, Path: a.Path + "+" + b.Path,
		PageRows: commonMultiple(a.PageRows, b.PageRows), Memory: a.Memory,
	}
}

// commonMultiple is the smallest number of rows that suits both; none if one
// has none.
func commonMultiple(a, b int) int {
	if a == 0 || b == 0 {
		return 0
	}
	n := max(a, b)
	for n%a != 0 || n%b != 0 {
		n += max(a, b)
	}
	return n
}

// Capabilities implements [device.Device]: nothing is lacking, and steps are
// fused only if both devices can fuse them, since a group runs on one of them.
func (d *Device) Capabilities() device.Capabilities {
	cpu := d.cpu.Capabilities()
	can := device.Capabilities{
		Convolution: func(c *program.Convolution, filters []int) bool {
			return allows(d.can.Convolution, c, filters) && allows(cpu.Convolution, c, filters)
		},
		Pointwise: func(o op.Op) bool {
			return !d.can.Lacks(o, nil) && (d.can.Pointwise == nil || d.can.Pointwise(o)) && (cpu.Pointwise == nil || cpu.Pointwise(o))
		},
	}
	if cpu.Lacks != nil {
		can.Lacks = func(o op.Op, in []plan.Spec) bool { return d.can.Lacks(o, in) && cpu.Lacks(o, in) }
	}
	return can
}

func allows(f func(*program.Convolution, []int) bool, c *program.Convolution, filters []int) bool {
	return f == nil || f(c, filters)
}

// Compile implements [device.Device].
func (d *Device) Compile(p *program.Program, w *op.Work) (device.Code, error) {
	if err := w.Spend(len(p.Plan().Values) + len(p.Plan().Steps)); err != nil {
		return nil, err
	}
	c := newCode(d, p)
	var err error
	if c.primary.code, err = d.primary.Compile(c.primary.prog, w); err != nil {
		return nil, err
	}
	if len(c.cpu.groups) == 0 {
		return c, nil
	}
	if c.cpu.code, err = d.cpu.Compile(c.cpu.prog, w); err != nil {
		return nil, err
	}
	d.tell(c)
	return c, nil
}

// tell logs which operators of a program run on the CPU: those that the device
// lacks and those fused with them.
func (d *Device) tell(c *code) {
	lacked, others := map[string]int{}, map[string]int{}
	for _, i := range c.cpu.groups {
		for _, k := range c.prog.Groups[i].Steps {
			switch o := c.prog.Res.Ops[k]; {
			case c.prog.Res.View[k]:
			case d.can.Lacks(o, c.prog.Inputs(k)):
				lacked[o.Name()]++
			default:
				others[o.Name()]++
			}
		}
	}
	d.log.Warn("operators of a plan run on the CPU, which the device lacks",
		"plan", c.prog.Plan().Name, "device", d.primary.Info().Kind, "operators", counts(lacked), "fused", counts(others),
		"groups", len(c.cpu.groups), "of", len(c.prog.Groups))
}

// counts is text such as "layer_norm x5, softmax x2".
func counts(n map[string]int) string {
	parts := make([]string, 0, len(n))
	for name, k := range n {
		parts = append(parts, fmt.Sprintf("%s x%d", name, k))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// Begin implements [device.Device].
func (d *Device) Begin() {
	d.primary.Begin()
	d.cpu.Begin()
}

// End implements [device.Device].
func (d *Device) End() {
	d.cpu.End()
	d.primary.End()
}

// Close implements [device.Device].
func (d *Device) Close() {
	d.cpu.Close()
	d.primary.Close()
}

// Alloc implements [device.Memory].
func (d *Device) Alloc(ctx context.Context, use device.Use, n int) (device.Buffer, error) {
	own, err := d.primary.Alloc(ctx, use, n)
	if err != nil {
		return nil, err
	}
	return &buffer{d: d, use: use, own: own, copying: make(chan struct{}, 1), zero: use == device.UseState}, nil
}

// Free implements [device.Memory].
func (d *Device) Free(use device.Use, b device.Buffer) {
	if b == nil {
		return
	}
	x := b.(*buffer)
	x.dropMirror()
	d.primary.Free(use, x.own)
}

// Bytes implements [device.Memory].
func (d *Device) Bytes(b device.Buffer, n int) ([]byte, error) {
	x := b.(*buffer)
	if err := x.toDevice(nil); err != nil {
		return nil, err
	}
	return d.primary.Bytes(x.own, n)
}

// CopyRows implements [device.Memory], on the side with the current content.
func (d *Device) CopyRows(dst device.Piece, to int, src device.Piece, from, n int, s device.State, h halt.Func) error {
	out, in := dst.Buffer.(*buffer), src.Buffer.(*buffer)
	if in.isBehind(onDevice) {
		a, err := out.toHost(h)
		if err != nil {
			return err
		}
		b, err := in.toHost(h)
		if err != nil {
			return err
		}
		out.written(onHost)
		return d.cpu.CopyRows(device.Piece{Buffer: a, Positions: dst.Positions}, to, device.Piece{Buffer: b, Positions: src.Positions}, from, n, s, h)
	}
	for _, b := range []*buffer{out, in} {
		if err := b.toDevice(h); err != nil {
			return err
		}
	}
	out.written(onDevice)
	return d.primary.CopyRows(device.Piece{Buffer: out.own, Positions: dst.Positions}, to, device.Piece{Buffer: in.own, Positions: src.Positions}, from, n, s, h)
}

// Download implements [device.Memory].
func (d *Device) Download(dst []byte, b device.Buffer, off int, h halt.Func) error {
	x := b.(*buffer)
	if err := x.toDevice(h); err != nil {
		return err
	}
	return d.primary.Download(dst, x.own, off, h)
}

// Upload implements [device.Memory].
func (d *Device) Upload(b device.Buffer, off int, src []byte, h halt.Func) error {
	x := b.(*buffer)
	if err := x.toDevice(h); err != nil {
		return err
	}
	x.written(onDevice)
	return d.primary.Upload(x.own, off, src, h)
}
