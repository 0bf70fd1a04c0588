package emulator

import (
	"fmt"
	"sync"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// Check is which accesses to memory are checked.
type Check uint8

const (
	// Full checks each byte that is read for a write before, and each access for
	// races, besides what Bounds checks.
	Full Check = iota
	// Bounds checks bounds, alignment, uses of freed memory, registers that were
	// never written, divergent barriers and the limits of launches: not races and
	// not unwritten memory. It takes less time, for large models.
	Bounds
)

// Options are the devices of a driver.
type Options struct {
	Devices int   // 0 is 1
	Memory  int64 // of each device, in bytes: 0 is 256 MiB
	Check   Check
	// Eager makes streams work at once. Otherwise they work as late as they may:
	// when something waits for them. So a missing wait is found each time.
	Eager bool
	// Steps bounds the instructions of a warp in one block, after which its launch
	// times out: 0 is 1<<31.
	Steps int64
	// Workers is how many blocks run at a time: 0 is GOMAXPROCS.
	Workers int
}

// The properties of a device.
const (
	multiprocessors = 4
	sharedPerBlock  = 163 << 10
	staticLimit     = 48 << 10
	defaultMemory   = 256 << 20
	defaultSteps    = 1 << 31
)

// Driver is a driver whose devices are this process's CPU.
type Driver struct {
	options Options
	devices []*device

	mu     sync.Mutex
	faults []*Fault
	counts Counts
}

// device is the memory that the contexts of a device share.
type device struct {
	mu   sync.Mutex
	used int64
}

// Counts is what a driver's contexts did so far.
type Counts struct {
	Opens, Allocs, Frees, HostAllocs, HostFrees int
	Streams, Events, Loads, Launches, Copies    int
	Synchronizes                                int
	Threads                                     int64 // instructions of single threads
}

// New makes a driver.
func New(o Options) *Driver {
	if o.Devices == 0 {
		o.Devices = 1
	}
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	if o.Steps == 0 {
		o.Steps = defaultSteps
	}
	d := &Driver{options: o}
	for range o.Devices {
		d.devices = append(d.devices, &device{})
	}
	return d
}

var _ driver.Driver = (*Driver)(nil)

// Version is that of the PTX that the emulator knows.
func (*Driver) Version() int { return 12090 }

// Devices is the number of devices.
func (d *Driver) Devices() (int, error) { return len(d.devices), nil }

// Describe describes device i.
func (d *Driver) Describe(i int) (driver.Properties, error) {
	if i < 0 || i >= len(d.devices) {
		return driver.Properties{}, NewError("cuDeviceGet", InvalidDevice, fmt.Sprintf("there is no device %d of %d", i, len(d.devices)), false)
	}
	return driver.Properties{
		Name: "PTX emulator", Major: 8, Minor: 0, Memory: d.options.Memory, Multiprocessors: multiprocessors,
		ClockKHz: 400, MemoryClockKHz: 100_000, BusBits: 64, L2Bytes: 1 << 20, SharedPerBlock: sharedPerBlock,
	}, nil
}

// Open makes a new context on device i.
func (d *Driver) Open(i int) (driver.Context, error) {
	p, err := d.Describe(i)
	if err != nil {
		return nil, err
	}
	if err := d.call(CallOpen, func(c *Counts) { c.Opens++ }); err != nil {
		return nil, err
	}
	return newContext(d, d.devices[i], p), nil
}

// Counts is what the driver's contexts did so far.
func (d *Driver) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts
}

// Call is a kind of call that a fault makes fail.
type Call uint8

// The calls that a fault names.
const (
	CallOpen Call = iota
	CallAlloc
	CallAllocHost
	CallStream
	CallEvent
	CallLoad
	CallLaunch
	CallCopy // CopyIn, CopyOut, Copy and Fill
	CallSynchronize
)

// Fault makes a call fail.
type Fault struct {
	Call  Call
	After int // calls that succeed first
	Err   *driver.Error
	// Late makes a launch or a copy fail as it executes, not as it is queued.
	Late bool
}

// Inject makes a later call fail, once. If the error is sticky the context is
// lost; a new one of the same device works.
func (d *Driver) Inject(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, &f)
}

// call counts a call, and is the fault that makes it fail.
func (d *Driver) call(kind Call, count func(*Counts)) error {
	if f := d.fault(kind, count); f != nil {
		return f.Err
	}
	return nil
}

func (d *Driver) fault(kind Call, count func(*Counts)) *Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	count(&d.counts)
	for i, f := range d.faults {
		if f.Call != kind {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		d.faults = append(d.faults[:i:i], d.faults[i+1:]...)
		return f
	}
	return nil
}
