package devicetest

import (
	"context"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport/plan"
)

// counted is the device, which compares allocations with reservations. One
// goroutine may use it.
type counted struct {
	device.Device
	budget *budget.Budget
	used   int64
	allocs int
	wrong  []string
}

func (d *counted) check(what string) {
	h := d.budget.Held()
	if held := h[budget.State] + h[budget.Retained] + h[budget.Scratch]; d.used > held {
		d.wrong = append(d.wrong, fmt.Sprintf("%s: %d bytes of the device are in use, %d reserved", what, d.used, held))
	}
}

// Alloc implements [device.Memory].
func (d *counted) Alloc(ctx context.Context, use device.Use, n int) (device.Buffer, error) {
	b, err := d.Device.Alloc(ctx, use, n)
	if err == nil {
		d.allocs++
		d.used += int64(b.Len())
		d.check(fmt.Sprintf("allocation %d of %d bytes for %d", d.allocs, n, use))
	}
	return b, err
}

// Free implements [device.Memory].
func (d *counted) Free(use device.Use, b device.Buffer) {
	if b != nil {
		d.used -= int64(b.Len())
	}
	d.Device.Free(use, b)
}

// testReserved runs plans with states and outputs of all kinds: every
// allocation on the device has been reserved, and all of it is freed.
func testReserved(f *fixture) {
	var d *counted
	e := f.engine(func(o *engine.Options) {
		o.Device = func(o device.Options) (device.Device, error) {
			inner, err := f.open(o)
			d = &counted{Device: inner, budget: o.Budget}
			return d, err
		}
	})
	p, weights := f.stateful()
	s := f.session(e, p, weights)
	b := f.plan("crossed")
	one, two := b.state(33, 9), b.state(33, 9)
	b.carry(plan.StateReplace, one, two, 0)
	b.carry(plan.StateReplace, two, one, 0)
	other := f.session(e, b.out(plan.Retain, one).done(), nil)
	cache := f.session(e, f.cached(false, false), nil)
	past, appended := 0, []int{1, 9, 1, 130, 2, 300}
	if f.opts.Slow {
		appended = []int{1, 9, 1, 70, 2, 90}
	}
	for _, n := range appended {
		c := grown(past, n)
		_, handles, err := s.try(context.Background(), c.sizes, data(c.in...)...)
		require.NoError(f, err)
		s.s.Release(handles[2])
		_, err = s.s.Read(handles[3])
		require.NoError(f, err)
		other.run(nil)
		c = rows(past, n, 1)
		cache.run(c.sizes, c.in...)
		past += n
	}
	require.NotZero(f, d.used)
	for _, x := range []*session{s, other, cache} {
		x.s.Close()
	}
	e.Memory().Reclaim()
	require.Zero(f, d.used)
	require.Empty(f, d.wrong)
}
