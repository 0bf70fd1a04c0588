package devicetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// stopWithin is how long a device may take to stop, on a busy machine.
const stopWithin = 3 * time.Second

// stops runs a long plan, cancels it once it computes, and returns how long it
// took to stop. began reports that it computes.
func (f *fixture) stops(s *session, c call, computes <-chan struct{}) time.Duration {
	f.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	cause := errors.New("no more")
	cancelled := make(chan time.Time, 1)
	go func() {
		<-computes
		cancelled <- time.Now()
		cancel(cause)
	}()
	_, _, err := s.try(ctx, c.sizes, data(c.in...)...)
	require.ErrorIs(f, err, cause)
	return time.Since(<-cancelled)
}

// watched is the device, which signals on a channel when a kernel begins.
func (f *fixture) watched(kernels chan struct{}) device.Open {
	return func(o device.Options) (device.Device, error) {
		fault := o.Fault
		o.Fault = func(at string) {
			if at == "kernel" {
				select {
				case kernels <- struct{}{}:
				default:
				}
			}
			if fault != nil {
				fault(at)
			}
		}
		return f.open(o)
	}
}

// testCancelWithinAStep stops a convolution of 770 billion operations, which
// takes a processor several seconds, and hours by the reference. The session
// can compute afterwards.
func testCancelWithinAStep(f *fixture) {
	kernels := make(chan struct{}, 1)
	e := f.engine(func(o *engine.Options) { o.Device, o.Threads = f.watched(kernels), 1 })
	b := f.plan("long")
	const channels, outs, kernel, side, n = 16, 64, 31, 64, 96
	w := b.weight(plan.F32, floats(outs*channels*kernel*kernel, 1), outs, channels, kernel, kernel)
	y := b.step("conv2d", conv(1, 1, kernel/2, 1), b.in(plan.F32, "n", channels, side, side), w)
	s := f.session(e, b.out(plan.Download, b.step("reduce", reduce("mean", false, 2, 3), y)).done(), b.weights)
	took := f.stops(s, call{plan.Bindings{"n": n}, [][]byte{floats(n*channels*side*side, 1)}}, kernels)
	require.Less(f, took, stopWithin)
	f.again(s)
}

// again runs a plan in a session after a run in it was stopped.
func (f *fixture) again(stopped *session) {
	f.Helper()
	b := f.plan("again")
	y := b.step("softmax", plan.Attrs{plan.Int("axis", -1)}, b.in(plan.F32, "n", "n"))
	s := f.session(stopped.e, b.out(plan.Download, y).done(), nil)
	s.s.Close()
	s.s = stopped.s
	ref, err := newReference(s.plan, nil)
	require.NoError(f, err)
	in := [][]byte{floats(25, 2)}
	want, err := ref.run(plan.Bindings{"n": 5}, in)
	require.NoError(f, err)
	f.requireNear(want[0], s.run(plan.Bindings{"n": 5}, in...)[0], "after a run that was stopped")
	s.s.Close()
}

// testCancelInTheQueue stops a run of many short steps, and one that has not begun.
func testCancelInTheQueue(f *fixture) {
	kernels := make(chan struct{}, 1)
	e := f.engine(func(o *engine.Options) { o.Device, o.Threads = f.watched(kernels), 1 })
	b := f.plan("many")
	x := b.in(plan.F32, "n", "n")
	y := x
	for range 50 {
		y = b.step("softmax", plan.Attrs{plan.Int("axis", -1)}, y)
	}
	s := f.session(e, b.out(plan.Download, y).done(), nil)
	n := 1000
	if f.opts.Slow {
		n = 100
	}
	c := call{plan.Bindings{"n": n}, [][]byte{floats(n*n, 1)}}
	require.Less(f, f.stops(s, c, kernels), stopWithin)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err := s.try(ctx, c.sizes, data(c.in...)...)
	require.ErrorIs(f, err, context.Canceled)
	f.again(s)
}

// stateful is a plan with states of all kinds, outputs of all kinds, and a weight.
func (f *fixture) stateful() (*plan.Plan, transport.Weights) {
	f.Helper()
	b := f.plan("stateful")
	x := b.in(plan.F32, "new", 7)
	sum, last := b.state(7), b.state(9, 7)
	all := b.append(0, b.state("past", 7), x)
	b.carry(plan.StateReplace, sum, b.step("reduce", reduce("sum", false, 0), all), 0)
	b.carry(plan.StateReplace, last, b.step("add", nil, last, sum), 0)
	y := b.step("matmul", matmul(false, false), all, b.weight(plan.F32, floats(7*11, 1), 7, 11))
	b.out(plan.Download, y, b.step("transpose", perm(1, 0), y))
	b.out(plan.Retain, y, all)
	return b.done(), b.weights
}

func grown(past, n int) call {
	return call{plan.Bindings{"past": past, "new": n}, [][]byte{floats(7*n, uint64(past))}}
}

// testBudgetRefused gives a run less memory than it needs, by every amount: the
// run is either refused without a trace, or succeeds.
func testBudgetRefused(f *fixture) {
	p, weights := f.stateful()
	e := f.engine(func(o *engine.Options) { o.MemLimit = 64 << 20 })
	s := f.session(e, p, weights)
	ref, err := newReference(p, weights)
	require.NoError(f, err)
	past, refused := 0, 0
	for i := range 30 {
		c := grown(past, 1+i%7)
		e.Memory().Reclaim()
		used := e.Memory().Used()
		rest := e.Memory().Limit() - used - int64(i*i*200)
		require.NoError(f, e.Memory().Reserve(budget.Buffers, rest, "the test"))
		out, handles, err := s.try(context.Background(), c.sizes, data(c.in...)...)
		e.Memory().Release(budget.Buffers, rest)
		if err != nil {
			refused++
			require.ErrorIs(f, err, transport.ErrMemory)
			e.Memory().Reclaim()
			if !f.opts.Copies {
				require.LessOrEqual(f, e.Memory().Used(), used)
			}
			if out, handles, err = s.try(context.Background(), c.sizes, data(c.in...)...); err != nil {
				require.NoError(f, err)
			}
		}
		want, err := ref.run(c.sizes, c.in)
		require.NoError(f, err)
		f.requireNear(want[0], out[0], fmt.Sprint("run ", i))
		s.s.Release(handles...)
		past += 1 + i%7
	}
	require.NotZero(f, refused)
	s.s.Close()
}

// refusing is the device with one failing allocation.
type refusing struct {
	device.Device
	left atomic.Int64 // remaining allocations before it
}

var errRefused = fmt.Errorf("%w: the device has none", transport.ErrMemory)

// Alloc implements [device.Memory].
func (d *refusing) Alloc(ctx context.Context, use device.Use, n int) (device.Buffer, error) {
	if d.left.Add(-1) == 0 {
		return nil, errRefused
	}
	return d.Device.Alloc(ctx, use, n)
}

// testAllocRefused makes each allocation of a run fail on the device, one run
// after another: the session is unchanged, and no memory is left.
func testAllocRefused(f *fixture) {
	p, weights := f.stateful()
	var d *refusing
	e := f.engine(func(o *engine.Options) {
		o.Device = func(o device.Options) (device.Device, error) {
			inner, err := f.open(o)
			d = &refusing{Device: inner}
			return d, err
		}
	})
	s := f.session(e, p, weights)
	ref, err := newReference(p, weights)
	require.NoError(f, err)
	past, refused := 0, 0
	for i := range 40 {
		c := grown(past, 1+i%5)
		e.Memory().Reclaim()
		d.left.Store(int64(1 + i%9))
		out, handles, err := s.try(context.Background(), c.sizes, data(c.in...)...)
		d.left.Store(0)
		if err != nil {
			refused++
			require.ErrorIs(f, err, errRefused)
			out, handles, err = s.try(context.Background(), c.sizes, data(c.in...)...)
			require.NoError(f, err)
		}
		want, err := ref.run(c.sizes, c.in)
		require.NoError(f, err)
		f.requireNear(want[0], out[0], fmt.Sprint("run ", i))
		s.s.Release(handles...)
		past += 1 + i%5
	}
	require.Greater(f, refused, 8)
	s.s.Close()
	e.Memory().Reclaim()
	held := e.Memory().Held()
	require.Zero(f, held[budget.State]+held[budget.Retained]+held[budget.Scratch], "%v", held)
}

// testKernelPanics makes a kernel of each group panic: the panic is an error of
// that run, and the device and the session continue to work.
func testKernelPanics(f *fixture) {
	p, weights := f.stateful()
	var left atomic.Int64
	e := f.engine(func(o *engine.Options) {
		o.Device = func(o device.Options) (device.Device, error) {
			o.Fault = func(at string) {
				if at == "kernel" && left.Add(-1) == 0 {
					panic("a fault of a kernel")
				}
			}
			return f.open(o)
		}
	})
	s, other := f.session(e, p, weights), f.session(e, p, weights)
	ref, err := newReference(p, weights)
	require.NoError(f, err)
	past, panics := 0, 0
	for i := range 12 {
		c := grown(past, 1+i%5)
		left.Store(int64(1 + i%6))
		out, handles, err := s.try(context.Background(), c.sizes, data(c.in...)...)
		left.Store(0)
		if err != nil {
			panics++
			require.ErrorIs(f, err, transport.ErrInternal)
			require.ErrorContains(f, err, "a fault of a kernel")
			out, handles, err = s.try(context.Background(), c.sizes, data(c.in...)...)
			require.NoError(f, err)
		}
		want, err := ref.run(c.sizes, c.in)
		require.NoError(f, err)
		f.requireNear(want[0], out[0], fmt.Sprint("run ", i))
		s.s.Release(handles...)
		past += 1 + i%5
	}
	require.NotZero(f, panics)
	c := grown(0, 3)
	other.run(c.sizes, c.in...)
	other.s.Close()
	s.s.Close()
	runtime.KeepAlive(e)
}
