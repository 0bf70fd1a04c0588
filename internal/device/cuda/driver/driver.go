// Package driver is the narrow interface between the CUDA device and a CUDA
// driver: contexts, memory, streams, events, modules and launches. Package
// cudriver implements it on gorgonia.org/cu, and package emulator executes PTX
// on the CPU, for tests.
//
// Errors are of type [*Error]. After a sticky one the context and all that it
// owns are lost: only Close may be called, which never fails.
package driver

import "time"

// Ptr is the address of device memory; 0 is none.
type Ptr uint64

// Dim is the size of a grid, in blocks, or of a block, in threads.
type Dim struct{ X, Y, Z int }

// Driver finds devices. It is safe for concurrent use.
type Driver interface {
	// Version is the CUDA version of the driver: 12090 is 12.9.
	Version() int
	// Devices is the number of devices.
	Devices() (int, error)
	// Describe describes device i.
	Describe(i int) (Properties, error)
	// Open makes a new context on device i.
	Open(i int) (Context, error)
}

// Properties describe a device.
type Properties struct {
	Name            string
	Major, Minor    int // compute capability
	Memory          int64
	Multiprocessors int
	ClockKHz        int // of the multiprocessors, at most
	MemoryClockKHz  int
	BusBits         int // width of the memory bus
	L2Bytes         int
	SharedPerBlock  int // dynamic shared memory that a block can opt in to
}

// Context owns memory, streams and modules of one device. It is safe for
// concurrent use.
type Context interface {
	Properties() Properties
	// MemInfo is the free and the total memory of the device, in bytes.
	MemInfo() (free, total int64, err error)
	// Alloc allocates n bytes, aligned to 256, of undefined content. The error
	// is [ErrOutOfMemory] if there is not enough.
	Alloc(n int64) (Ptr, error)
	// Free frees memory. Nothing queued may use it.
	Free(p Ptr) error
	// AllocHost allocates page-locked memory of this process, which streams
	// copy from and to without staging.
	AllocHost(n int) ([]byte, error)
	FreeHost(b []byte) error
	NewStream() (Stream, error)
	NewEvent() (Event, error)
	// Load loads a module from a cubin or PTX.
	Load(image []byte) (Module, error)
	// Close destroys the context with everything that it owns.
	Close() error
}

// Stream is a queue of work, in order. Calls return before the work is done. One
// goroutine at a time may use it.
type Stream interface {
	// CopyIn copies to the device, and CopyOut from it. The memory of this
	// process must stay unchanged, or unread, until the copy is done. It is
	// asynchronous where that memory is from AllocHost; other memory may be
	// copied before the call returns.
	CopyIn(dst Ptr, src []byte) error
	CopyOut(dst []byte, src Ptr) error
	// Copy copies n bytes within the device, and Fill stores n bytes of value b.
	Copy(dst, src Ptr, n int64) error
	Fill(dst Ptr, b byte, n int64) error
	// Launch launches a kernel with one parameter, a struct of these bytes,
	// which are copied before the call returns. len(args) is a multiple of 8.
	Launch(f Function, grid, block Dim, shared int, args []byte) error
	// Record records an event after all queued work, and WaitFor makes later
	// work wait for an event that was recorded, perhaps in another stream.
	Record(e Event) error
	WaitFor(e Event) error
	// Done reports whether all queued work is done. Synchronize waits for it,
	// and returns the error of work that failed.
	Done() (bool, error)
	Synchronize() error
	Close() error
}

// Event is a point in a stream.
type Event interface {
	Done() (bool, error)
	Synchronize() error
	// Since is the time between two recorded events that are done.
	Since(earlier Event) (time.Duration, error)
	Close() error
}

// Module is loaded code.
type Module interface {
	// Function finds a kernel by its name.
	Function(name string) (Function, error)
}

// Function is a kernel.
type Function interface {
	// AllowShared permits n bytes of dynamic shared memory in a launch, beyond
	// 48 KiB.
	AllowShared(n int) error
}
