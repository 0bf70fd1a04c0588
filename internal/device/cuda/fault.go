package cuda

import (
	"errors"
	"fmt"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport"
)

// check classifies the error of a call of the driver, or of a kernel's launch;
// nil stays nil. Each such error passes through it once.
//
//	out of memory                [transport.ErrMemory]; the device is as before
//	a context that is lost       [transport.ErrDevice], also for all later calls
//	another failure of the driver  [transport.ErrDevice]
//	an error of this process, such as an operand that a kernel does not take,
//	stays as it is
func (d *Device) check(err error) error {
	var failed *driver.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrOutOfMemory) && !driver.IsSticky(err):
		return fmt.Errorf("%w: %w", transport.ErrMemory, err)
	case !errors.As(err, &failed):
		return err
	case failed.Sticky:
		return d.lose(err)
	}
	return fmt.Errorf("%w: %w", transport.ErrDevice, err)
}

// lose records why the context is lost, and returns the first reason.
func (d *Device) lose(err error) error {
	lost := fmt.Errorf("%w: the context of %s is lost: %w", transport.ErrDevice, d.name(), err)
	if d.lost.CompareAndSwap(nil, &lost) {
		return lost
	}
	return *d.lost.Load()
}

// usable is nil while the context is not lost. After that the driver is called
// for nothing but to close it.
func (d *Device) usable() error {
	if lost := d.lost.Load(); lost != nil {
		return *lost
	}
	return nil
}
