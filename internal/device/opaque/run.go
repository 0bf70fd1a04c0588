package opaque

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// run implements [device.Run].
type run struct {
	d        *Device
	prog     *program.Program
	bound    *program.Bound
	ctl      device.Control
	weights  []*weight // by value
	place    device.Placement
	uploaded bool // values of this process are on the device
	queue    queue
}

// Prepare implements [device.Run].
func (r *run) Prepare(_ context.Context, weights []device.Weight) error {
	for v, w := range weights {
		if w != nil {
			r.weights[v] = w.(*weight)
		}
	}
	return nil
}

// Workspaces implements [device.Run]: inputs and constants have their place there.
func (r *run) Workspaces(need []int) {
	clear(need)
	_ = r.brought(func(_, _, n int) error {
		need[0] += program.Align(n)
		return nil
	})
}

// brought calls f for the values that come from this process, with their place
// in the workspace and their size in bytes.
func (r *run) brought(f func(v, off, n int) error) error {
	off := 0
	for v := range r.prog.Places {
		x := &r.prog.Plan().Values[v]
		if x.Kind != plan.KindInput && x.Kind != plan.KindConst {
			continue
		}
		n := r.bound.Bytes(v)
		if err := f(v, off, n); err != nil {
			return err
		}
		off += program.Align(n)
	}
	return nil
}

// Heap implements [device.Run]: steps hold their operands in memory of this
// process.
func (r *run) Heap() (most int64) {
	size := func(v int) int64 { return int64(max(r.bound.Bytes(r.prog.Res.Base[v]), r.bound.Bytes(v), 0)) }
	for i := range r.prog.Groups {
		n := int64(0)
		for _, k := range r.prog.Groups[i].Steps {
			s := &r.prog.Plan().Steps[k]
			for _, v := range s.In {
				n += 2 * size(v)
			}
			n += 2 * size(s.Out)
		}
		most = max(most, n)
	}
	return most
}

// Place implements [device.Run].
func (r *run) Place(p device.Placement) error {
	r.place, r.uploaded = p, false
	return nil
}

// Forget implements [device.Run]: each Place does it for all values.
func (*run) Forget() {}

// Groups implements [device.Run]: it queues them.
func (r *run) Groups(from, to int, times []time.Duration) (n int, err error) {
	r.queue.add(stretch{from, to, times})
	return to, nil
}

// Kernel implements [device.Run]: it has none.
func (*run) Kernel(int) string { return "reference" }

// Wait implements [device.Run].
func (r *run) Wait(n int) (int, error) {
	if r.queue.flush() == nil {
		return n, nil
	}
	return r.queue.take()
}

// View implements [device.Run]: no device memory is visible.
func (*run) View(int) []byte { return nil }

// Read implements [device.Run].
func (r *run) Read(v int, dst []byte) (err error) {
	defer device.Recovered(&err)
	dense, err := r.dense(v)
	if err != nil {
		return err
	}
	if len(dense) > len(dst) {
		return fmt.Errorf("%w: value %d has %d bytes, the memory for it %d", transport.ErrInternal, v, len(dense), len(dst))
	}
	copy(dst, dense)
	return nil
}

// Copy implements [device.Run].
func (r *run) Copy(v int, dst device.Buffer) (err error) {
	defer device.Recovered(&err)
	dense, err := r.dense(v)
	if err != nil {
		return err
	}
	return r.d.memory.write(dst.(*buffer), 0, dense)
}

// dense is a row-major value, or a part of it if the run is halted.
func (r *run) dense(v int) ([]byte, error) {
	if err := r.upload(); err != nil {
		return nil, err
	}
	a, err := r.load(v, nil)
	if err != nil {
		return nil, err
	}
	out := op.NewArray(a.DType, a.Shape...)
	move(out, a, a.Shape, r.ctl.Halt)
	return out.Data, nil
}

// upload copies inputs and constants to the device, once for each run.
func (r *run) upload() error {
	if r.uploaded {
		return nil
	}
	at, from := r.bound.Workspaces[0].Off, r.place.Arena.(*buffer)
	err := r.brought(func(v, off, n int) error {
		data := r.prog.Plan().Values[v].Const
		if i := r.input(v); i >= 0 {
			if r.place.Inputs[i].Buffer != nil {
				return nil
			}
			data = r.place.Inputs[i].Data
		}
		if len(data) < n {
			return fmt.Errorf("%w: value %d has %d bytes, not %d", transport.ErrInternal, v, len(data), n)
		}
		return r.d.memory.write(from, at+off, data[:n])
	})
	r.uploaded = err == nil
	return err
}

// input is the input of a value, -1 for none.
func (r *run) input(v int) int {
	for i, in := range r.prog.Plan().Inputs {
		if in.Value == v {
			return i
		}
	}
	return -1
}
