// Package null is a device that computes nothing. It takes the time that a cost
// model predicts, on a clock that may be virtual, and accounts for all memory.
// It serves to simulate fleets of workers, and as the skeleton of the next
// device: copy it, and fill in memory, kernels and a queue.
//
//	device.go  the device and its memory; add allocation and copies here
//	code.go    code of a program, and weights; add kernels and layouts here
//	run.go     a program bound to sizes, and its queue; add the real queue here
//	batch.go   products of several runs; add a product of all their rows here
//	clock.go   real and virtual time; a real device does not need it
//
// All values are zeros. Transfers take no time: a link's model adds that.
package null

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Options describe a null device.
type Options struct {
	// Time is how long the device takes for some work; nil for no time.
	Time func(w Work) time.Duration
	// Clock is the time that passes; nil for that of the system.
	Clock Clock
	// Memory is the device's memory in bytes; 0 for no limit.
	Memory int64
	// Lacks is the device's answer about missing operators; nil for none.
	Lacks func(o op.Op, in []plan.Spec) bool
}

// Work is a group of a program, for one run or for several together, with what
// it computes and moves for all of them: a weight is read once.
type Work struct {
	program.Cost
	Program *program.Program
	Group   int
	Shape   func(v int) []int // of a value, in the first of the runs
	Runs    int
}

// Device implements [device.Device].
type Device struct {
	opts Options
	of   device.Options

	mu   sync.Mutex
	held Held
	free time.Duration // when all queued work is done
}

// Held is the memory in use, in bytes.
type Held struct {
	Weights, State, Scratch, Retained int64
}

// Total is the sum.
func (h Held) Total() int64 { return h.Weights + h.State + h.Scratch + h.Retained }

// Open returns a function that opens a device.
func Open(o Options) device.Open {
	return func(of device.Options) (device.Device, error) {
		if of.Int8Weights {
			return nil, fmt.Errorf("%w: the null device holds no weights in 8 bits", plan.ErrInvalid)
		}
		if o.Clock == nil {
			o.Clock = NewReal()
		}
		return &Device{opts: o, of: of}, nil
	}
}

// pageRows is the number of positions in a page of carried state.
const pageRows = 64

// Info implements [device.Device].
func (*Device) Info() device.Info {
	return device.Info{Kind: "null", Path: "null", PageRows: pageRows}
}

// Capabilities implements [device.Device].
func (d *Device) Capabilities() device.Capabilities {
	return device.Capabilities{Lacks: d.opts.Lacks}
}

// Compile implements [device.Device].
func (d *Device) Compile(p *program.Program, w *op.Work) (device.Code, error) {
	if err := w.Spend(len(p.Plan().Values) + len(p.Plan().Steps)); err != nil {
		return nil, err
	}
	return newCode(d, p), nil
}

// Begin implements [device.Device]. A device with threads to share counts runs here.
func (*Device) Begin() {}

// End implements [device.Device].
func (*Device) End() {}

// Close implements [device.Device].
func (*Device) Close() {}

// Held is the memory in use.
func (d *Device) Held() Held {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held
}

// take counts memory, which may be negative.
func (d *Device) take(of func(h *Held) *int64, n int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if all := d.held.Total(); n > 0 && d.opts.Memory > 0 && n > d.opts.Memory-all {
		return fmt.Errorf("%w: the device has %d bytes, of which %d are in use: no %d more", transport.ErrMemory, d.opts.Memory, all, n)
	}
	*of(&d.held) += n
	return nil
}

func usedFor(use device.Use) func(h *Held) *int64 {
	return func(h *Held) *int64 {
		switch use {
		case device.UseState:
			return &h.State
		case device.UseRetained:
			return &h.Retained
		case device.UseScratch:
		}
		return &h.Scratch
	}
}

// buffer is memory of the device: only its size. It implements [device.Buffer].
type buffer struct{ n int }

// Len implements [device.Buffer].
func (b *buffer) Len() int { return b.n }

// Alloc implements [device.Memory].
func (d *Device) Alloc(ctx context.Context, use device.Use, n int) (device.Buffer, error) {
	if ctx.Err() != nil { // a device that clears memory checks again meanwhile
		return nil, device.Stopped(ctx)
	}
	if err := d.take(usedFor(use), int64(n)); err != nil {
		return nil, err
	}
	return &buffer{n}, nil
}

// Free implements [device.Memory].
func (d *Device) Free(use device.Use, b device.Buffer) {
	if b != nil {
		_ = d.take(usedFor(use), -int64(b.Len())) // a release is never refused
	}
}

// Bytes implements [device.Memory]: a copy.
func (*Device) Bytes(_ device.Buffer, n int) ([]byte, error) { return make([]byte, n), nil }

// CopyRows implements [device.Memory].
func (*Device) CopyRows(device.Piece, int, device.Piece, int, int, device.State, halt.Func) error {
	return nil
}

// Download implements [device.Memory].
func (*Device) Download(dst []byte, _ device.Buffer, _ int, _ halt.Func) error {
	clear(dst)
	return nil
}

// Upload implements [device.Memory].
func (*Device) Upload(device.Buffer, int, []byte, halt.Func) error { return nil }

// queue appends work to the device's queue, and returns when it begins and
// ends.
func (d *Device) queue(t time.Duration) (from, to time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	from = max(d.opts.Clock.Now(), d.free)
	d.free = from + t
	return from, d.free
}

// giveUp ends work early. Work queued behind it keeps its place: its owners
// already know when it ends.
func (d *Device) giveUp(to time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free == to {
		d.free = min(d.free, d.opts.Clock.Now())
	}
}

// time is the cost model's answer.
func (d *Device) time(w Work) time.Duration {
	if d.opts.Time == nil {
		return 0
	}
	return max(d.opts.Time(w), 0)
}

// fault lets tests panic at a named place.
func (d *Device) fault(at string) {
	if d.of.Fault != nil {
		d.of.Fault(at)
	}
}
