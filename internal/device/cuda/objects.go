package cuda

import (
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/program"
)

// What a device, its weights and its memory hold. They refer to each other, so
// their types are in one file, below the files that hold their methods.

// Device implements [device.Device].
type Device struct {
	opts    device.Options
	ordinal int
	ctx     driver.Context
	kernels *kernels.Set
	props   driver.Properties

	memory  memory
	streams streams
	queues  queues
	staging staging
	runs    atomic.Uint64 // their number so far, see [buffer]
	pace    float64       // see [Device.paceOf]

	lost      atomic.Pointer[error] // why the context is lost, see [Device.check]
	inside    atomic.Int64          // calls in the driver, see [Device.enter]
	quiet     chan struct{}         // closed when the context is lost and none is inside
	quietOnce sync.Once
	freed     chan struct{}  // closed when the lost context is destroyed
	ends      sync.WaitGroup // that waits for it
}

// memory is the device's memory: blocks from the driver, those in use and those
// that wait for their next use.
type memory struct {
	d     *Device
	limit int64 // bytes that blocks may have in total

	mu    sync.Mutex
	taken int64                  // bytes from the driver
	idle  int64                  // of them, in spare blocks
	spare map[int64][]driver.Ptr // by size
}

// buffer is memory of the device. It implements [device.Buffer].
type buffer struct {
	at driver.Ptr // 0 for no bytes
	n  int
	// owner is the run whose constants and page tables are in scratch memory, 0
	// for none. Only the run that has the memory uses it.
	owner uint64
}

// streams are queues that wait for their next use.
type streams struct {
	mu   sync.Mutex
	idle []*stream
}

// queues are queues of runs that wait for their next use.
type queues struct {
	mu   sync.Mutex
	idle []*queue
}

// stream is a queue of work, with two events for waiting for a part of it. One
// goroutine at a time may use it.
type stream struct {
	driver.Stream
	d      *Device
	events [2]driver.Event
}

// staging is page-locked memory of this process, in pieces of powers of two.
type staging struct {
	d     *Device
	turns chan struct{} // tokens of transfers that wait for the device

	mu    sync.Mutex
	spare map[int][]*pinned
	idle  int // bytes in spare pieces
}

// pinned is page-locked memory of this process, which streams copy from and to
// while the process continues.
type pinned struct{ mem []byte }

// weights is how the weights of a program are stored: a part of its code.
type weights struct {
	d       *Device
	prog    *program.Program
	layouts map[int]layout // by value
}

// layout is how a weight is stored. It is comparable, see [device.WeightLayout].
type layout struct {
	kind layoutKind
	spec device.WeightSpec
}

type layoutKind uint8

const (
	dense     layoutKind = iota // elements of the compute type, row-major
	panels                      // a matrix [k, n], packed for products
	columns                     // a matrix [n, k] whose transpose is packed for products
	anyLayout                   // requested by a reader that accepts all of the above
)

// weight is content on the device. It implements [device.Weight].
type weight struct {
	d      *Device
	layout layout
	at     driver.Ptr
	size   int64 // bytes
}
