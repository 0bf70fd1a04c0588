package opaque

import (
	"errors"
	"sync"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/transport"
)

// ErrPlanted is the cause of planted failures.
var ErrPlanted = errors.New("genie: planted failure")

// Faults makes the devices that it opens fail as it is told. It is safe for
// concurrent use.
type Faults struct {
	mu     sync.Mutex
	at     string
	after  int
	times  int
	lost   bool
	refuse int // times that the device then does not open
	opened int
}

// Fail makes a call fail, once: the after-th, from now on, that opens the device
// ("open"), allocates ("alloc"), copies ("copy"), loads a part of a weight
// ("weight") or computes a group ("kernel").
func (f *Faults) Fail(at string, after int) { f.plant(at, after, 1, false) }

// Lose is Fail with the loss of the device.
func (f *Faults) Lose(at string, after int) { f.plant(at, after, 1, true) }

// LoseFor is Lose of a device that then does not open a number of times.
func (f *Faults) LoseFor(at string, after, refused int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.after, f.times, f.lost, f.refuse = at, after, 1, true, refused
}

func (f *Faults) plant(at string, after, times int, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.after, f.times, f.lost, f.refuse = at, after, times, lost, 0
}

// Planted reports whether a failure has yet to happen.
func (f *Faults) Planted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.times > 0
}

// Opened is the number of times that a device was to be opened.
func (f *Faults) Opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

// Open implements [device.Open].
func (f *Faults) Open(o device.Options) (device.Device, error) {
	d, err := open(o, f)
	if err != nil {
		return nil, err
	}
	if err := d.fails("open"); err != nil {
		return nil, err
	}
	return d, nil
}

// fails is the failure of a call, nil for none.
func (f *Faults) fails(at string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at == "open" {
		f.opened++
	}
	if f.times == 0 || at != f.at {
		return nil
	}
	if f.after > 1 {
		f.after--
		return nil
	}
	if f.times--; f.times == 0 && f.refuse > 0 {
		f.at, f.times, f.refuse = "open", f.refuse, 0
	}
	if f.lost {
		return &device.LostError{Device: "opaque", Err: ErrPlanted}
	}
	return errors.Join(transport.ErrDevice, ErrPlanted)
}

// fails is a planted failure at a place, or the loss of the device.
func (d *Device) fails(at string) error {
	if lost := d.memory.lost.Load(); lost != nil {
		return *lost
	}
	if d.faults == nil {
		return nil
	}
	err := d.faults.fails(at)
	if lost, ok := errors.AsType[*device.LostError](err); ok {
		return d.lose(lost)
	}
	return err
}

// lose makes the device and its memory unusable.
func (d *Device) lose(err error) error {
	if d.memory.lost.CompareAndSwap(nil, &err) && d.opts.Lost != nil {
		freed := make(chan struct{})
		close(freed)
		d.opts.Lost(err, freed)
	}
	return *d.memory.lost.Load()
}
