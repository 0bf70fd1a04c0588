package cuda

import (
	"errors"
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport"
)

// check classifies the error of a call of the driver, or of a kernel's launch;
// nil stays nil. Each such error passes through it once.
//
//	out of memory                [transport.ErrMemory]; the device is as before
//	a context that is lost       [transport.ErrDevice], also for all later calls
//	another failure of the driver  [transport.ErrDevice]
//	an error of this process       itself, such as that of an operand that a kernel does not take
func (d *Device) check(err error) error {
	if err == nil {
		return nil
	}
	return d.classify(err)
}

// classify is check of an error; apart, since it allocates.
func (d *Device) classify(err error) error {
	if driver.IsSticky(err) {
		return d.lose(err)
	}
	return typed(err)
}

// typed gives an error of the driver its public cause.
func typed(err error) error {
	var failed *driver.Error
	switch {
	case errors.Is(err, driver.ErrOutOfMemory):
		return fmt.Errorf("%w: %w", transport.ErrMemory, err)
	case !errors.As(err, &failed):
		return err
	}
	return fmt.Errorf("%w: %w", transport.ErrDevice, err)
}

// waited is check for a call that waits for queued work. If it fails, whatever
// the reason, nobody knows when that work ends, so that its memory can never be
// used again: the context is lost.
func (d *Device) waited(err error) error {
	if err == nil {
		return nil
	}
	return d.lose(err)
}

// lose records why the context is lost, and returns the first reason. The
// context is destroyed when no call is in the driver any more, so that its
// memory is free for the next one.
func (d *Device) lose(err error) error {
	lost := error(&device.LostError{Device: d.name(), Err: err})
	if !d.lost.CompareAndSwap(nil, &lost) {
		return *d.lost.Load()
	}
	d.ends.Go(func() {
		<-d.quiet
		d.destroy()
		close(d.freed)
	})
	d.quieten()
	if d.opts.Lost != nil {
		d.opts.Lost(lost, d.freed)
	}
	return lost
}

// usable is nil while the context is not lost. After that the driver is called
// for nothing but to destroy it.
func (d *Device) usable() error {
	if lost := d.lost.Load(); lost != nil {
		return *lost
	}
	return nil
}

// enter begins a call that may call the driver or touch page-locked memory, and
// leave ends it. Such calls may contain others. A lost context stays until all
// have left.
func (d *Device) enter() error {
	d.inside.Add(1)
	err := d.usable()
	if err != nil {
		d.leave()
	}
	return err
}

func (d *Device) leave() {
	if d.inside.Add(-1) == 0 && d.lost.Load() != nil {
		d.quieten()
	}
}

// quieten lets a lost context be destroyed if no call is inside. A call that
// enters later finds it lost and leaves at once.
func (d *Device) quieten() {
	if d.inside.Load() == 0 {
		d.quietOnce.Do(func() { close(d.quiet) })
	}
}
