package mixed

import (
	"context"
	"errors"
	"time"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// run implements [device.Run]: a run of each device on one [program.Bound], in
// arenas with the same layout.
type run struct {
	code         *code
	prog         *program.Program
	bound        *program.Bound
	ctl          device.Control
	primary, cpu device.Run // cpu is nil if the device runs all groups

	onDevice, onHost []bool // by value in scratch memory: its current content is there
	queued           bool   // the device may have groups to run
	need             []int

	place, cpuPlace device.Placement // as passed to the devices
	states          [][]*buffer      // by state: its pages
	arena           *buffer
	hostArena       []byte
	unplaced        bool // the pages must be listed again

	times, primaryTimes, cpuTimes []time.Duration
}

// NewRun implements [device.Code].
func (c *code) NewRun(b *program.Bound, ctl device.Control) device.Run {
	p := c.prog
	r := &run{
		code: c, prog: p, bound: b, ctl: ctl, primary: c.primary.code.NewRun(b, ctl), unplaced: true,
		onDevice: make([]bool, len(p.Places)), onHost: make([]bool, len(p.Places)),
		need: make([]int, len(b.Workspaces)), states: make([][]*buffer, len(p.Plan().States)),
	}
	if c.cpu.code != nil {
		r.cpu = c.cpu.code.NewRun(b, ctl)
	}
	for _, pl := range []*device.Placement{&r.place, &r.cpuPlace} {
		pl.Inputs, pl.States = make([]device.Input, len(p.Plan().Inputs)), make([]device.Pages, len(p.Plan().States))
	}
	return r
}

// Prepare implements [device.Run].
func (r *run) Prepare(ctx context.Context, weights []device.Weight) error {
	own, host := make([]device.Weight, len(weights)), make([]device.Weight, len(weights))
	for v, w := range weights {
		if w, ok := w.(*weight); ok {
			own[v], host[v] = w.primary, w.cpu
		}
	}
	if err := r.primary.Prepare(ctx, own); err != nil || r.cpu == nil {
		return err
	}
	return r.cpu.Prepare(ctx, host)
}

// Workspaces implements [device.Run]: the larger need of the two.
func (r *run) Workspaces(need []int) {
	r.primary.Workspaces(need)
	if r.cpu == nil {
		return
	}
	r.cpu.Workspaces(r.need)
	for k, n := range r.need {
		need[k] = max(need[k], n)
	}
}

// Heap implements [device.Run].
func (r *run) Heap() int64 {
	n := r.primary.Heap()
	if r.cpu != nil {
		n = max(n, r.cpu.Heap()) // one of them runs at a time
	}
	return n
}

// Forget implements [device.Run].
func (r *run) Forget() {
	r.primary.Forget()
	if r.cpu != nil {
		r.cpu.Forget()
	}
}

// Place implements [device.Run].
func (r *run) Place(p device.Placement) error {
	clear(r.onDevice)
	clear(r.onHost)
	moved := p.Moved || r.unplaced
	r.unplaced = true // until everything is done
	r.arena = p.Arena.(*buffer)
	if err := r.placePrimary(p, moved); err != nil {
		return err
	}
	if r.cpu != nil {
		if err := r.placeCPU(p, moved); err != nil {
			return err
		}
	}
	r.unplaced = false
	return nil
}

func (r *run) placePrimary(p device.Placement, moved bool) error {
	to := &r.place
	to.Arena, to.Changed, to.Moved = r.arena.own, p.Changed, moved
	for i, in := range p.Inputs {
		to.Inputs[i] = in
		if in.Buffer != nil {
			to.Inputs[i].Buffer = in.Buffer.(*buffer).own // a retained value has its content there
		}
	}
	for i := range p.States {
		if !moved {
			break
		}
		s := &p.States[i]
		r.states[i], to.States[i].Buffers, to.States[i].Rows = r.states[i][:0], to.States[i].Buffers[:0], s.Rows
		for _, b := range s.Buffers {
			r.states[i] = append(r.states[i], b.(*buffer))
			to.States[i].Buffers = append(to.States[i].Buffers, b.(*buffer).own)
		}
	}
	return r.primary.Place(r.place)
}

// placeCPU gives the CPU mirrors of what it uses.
func (r *run) placeCPU(p device.Placement, moved bool) error {
	arena, err := r.arena.scratch(r.bound.Total)
	if err != nil {
		return err
	}
	if r.hostArena, err = r.code.d.cpu.Bytes(arena, arena.Len()); err != nil {
		return err
	}
	to := &r.cpuPlace
	to.Arena, to.Changed, to.Moved = arena, p.Changed, moved
	for i, in := range p.Inputs {
		to.Inputs[i] = device.Input{Data: in.Data}
		if in.Buffer != nil && r.code.cpu.inputs[r.prog.Plan().Inputs[i].Value] {
			if to.Inputs[i].Buffer, err = in.Buffer.(*buffer).toHost(r.ctl.Halt); err != nil {
				return err
			}
		}
	}
	for i := range p.States {
		if !moved {
			break
		}
		to.States[i].Buffers, to.States[i].Rows = to.States[i].Buffers[:0], p.States[i].Rows
		for _, b := range r.states[i] {
			var m device.Buffer // none if no group of the CPU uses the state
			if r.code.cpu.states[i] {
				if m, err = b.mirrored(); err != nil {
					return err
				}
			}
			to.States[i].Buffers = append(to.States[i].Buffers, m)
		}
	}
	return r.cpu.Place(r.cpuPlace)
}

// Groups implements [device.Run].
func (r *run) Groups(from, to int, times []time.Duration) (n int, err error) {
	defer device.Recovered(&err)
	r.measure(times)
	for n = from; n < to && err == nil; {
		if r.code.side[n] == onHost {
			n, err = r.groupOnHost(n)
		} else {
			n, err = r.stretch(n, to)
		}
	}
	return n, err
}

// Kernel implements [device.Run].
func (r *run) Kernel(i int) string {
	at := r.code.at[i]
	if r.code.side[i] == onHost {
		return kernelchoice.Lacking + ": " + r.cpu.Kernel(at)
	}
	return r.primary.Kernel(at)
}

// measure makes room for the times of the devices' groups.
func (r *run) measure(times []time.Duration) {
	if r.times = times; times != nil && r.primaryTimes == nil {
		r.primaryTimes, r.cpuTimes = make([]time.Duration, len(r.code.primary.groups)), make([]time.Duration, len(r.code.cpu.groups))
	}
}

// groupOnHost runs a group on the CPU. Its time includes that of the copies.
func (r *run) groupOnHost(n int) (int, error) {
	if at, err := r.flush(n); err != nil { // including what it does not read: a failed run must run nothing more
		return at, err
	}
	start := time.Now()
	if err := r.bring(n, onHost); err != nil {
		return n, err
	}
	r.writes(n, onHost)
	at := r.code.at[n]
	if _, err := r.cpu.Groups(at, at+1, r.cpuTimes); err != nil {
		return n, err
	}
	if _, err := r.cpu.Wait(at + 1); err != nil {
		return n, err
	}
	if r.times != nil {
		r.times[n] = time.Since(start)
	}
	return n + 1, nil
}

// stretch runs groups of the device, from group n up to the first that needs
// something from the CPU.
func (r *run) stretch(n, to int) (int, error) {
	if r.lacks(n, onDevice) {
		if at, err := r.flush(n); err != nil {
			return at, err
		}
		if err := r.bring(n, onDevice); err != nil {
			return n, err
		}
	}
	end := n
	for ok := true; ok; ok = end < to && r.code.side[end] == onDevice && !r.lacks(end, onDevice) {
		r.writes(end, onDevice)
		end++
	}
	r.queued = true
	at := r.code.at[n]
	k, err := r.primary.Groups(at, at+end-n, r.primaryTimes)
	return n + k - at, err
}

// flush waits for the device's work before group n. On an error it returns the
// group that failed.
func (r *run) flush(n int) (int, error) {
	if !r.queued {
		return n, nil
	}
	return r.Wait(n)
}

// Wait implements [device.Run].
func (r *run) Wait(n int) (int, error) {
	own := r.code.before[n]
	at, err := r.primary.Wait(own)
	r.queued = false
	if r.times != nil {
		for i, k := range r.code.primary.groups[:own] {
			r.times[k] = r.primaryTimes[i]
		}
	}
	if err != nil {
		return r.code.primary.groups[at], err
	}
	return n, nil
}

// View implements [device.Run]: outputs are copied.
func (*run) View(int) []byte { return nil }

// Read implements [device.Run].
func (r *run) Read(v int, dst []byte) error {
	base := r.prog.Res.Base[v]
	if r.cpu != nil && r.onHost[base] {
		return r.cpu.Read(v, dst)
	}
	if err := r.toDevice(base); err != nil {
		return unlessHalted(err)
	}
	return r.primary.Read(v, dst)
}

// Copy implements [device.Run].
func (r *run) Copy(v int, dst device.Buffer) error {
	if err := r.toDevice(r.prog.Res.Base[v]); err != nil {
		return unlessHalted(err)
	}
	to := dst.(*buffer)
	to.written(onDevice)
	return r.primary.Copy(v, to.own)
}

// unlessHalted suppresses the error of a copy in a halted run.
func unlessHalted(err error) error {
	if errors.Is(err, op.ErrHalted) {
		return nil
	}
	return err
}

// toDevice brings a value, or the state that it is, to the device.
func (r *run) toDevice(base int) error {
	s := r.prog.Res.State[base]
	if s < 0 {
		if !r.onHost[base] || r.onDevice[base] {
			return nil
		}
		return r.move(base, onDevice)
	}
	for _, b := range r.states[s] {
		if err := b.toDevice(r.ctl.Halt); err != nil {
			return err
		}
	}
	return nil
}
