// Package device is the contract between the engine and a device that computes.
//
// A device has memory that perhaps only the device can address. It chooses the
// layouts of weights, compiles programs to code, and runs ranges of the groups
// of a program that is bound to sizes and memory. The engine does what is
// common to all devices: sessions, carried state and its growth, use of
// weights, reservation before running, dynamic batches, cancellation, memory
// budgets.
//
// The interface is coarse: one call for a run, or for the groups between two
// products that several runs share, never one per step. Groups may run later,
// in the run's own queue: only [Run.Wait] reports that they have run. A call of
// [Memory] is complete when it returns.
//
// Package internal/device/cpu is the device of this process, and
// internal/device/devicetest the suite that every device passes.
package device

import (
	"context"
	"time"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// Options configure the opening of a device.
type Options struct {
	// Threads is the number of goroutines that compute, for devices that use
	// any.
	Threads int
	// Int8Weights rounds the matrices of products to 8 bits.
	Int8Weights bool
	// Budget counts memory that the device takes itself: for weights that are
	// laid out again at first use, and for unforeseen workspace.
	Budget *budget.Budget
	// Reference computes every step by its operator's reference, for tests.
	Reference bool
	// Slow, which may be nil, counts the groups that the device computes by the
	// reference of an operator, since it has no kernel for them.
	Slow *ReferenceCount
	// Lost, which may be nil, is told once that the device is lost, see
	// [LostError]; freed is closed when another can be opened in its place. It
	// does not wait.
	Lost func(err error, freed <-chan struct{})
	// Fault, which may be nil, is called at named places, for tests to panic there.
	Fault func(at string)
}

// Open opens a device.
type Open func(o Options) (Device, error)

// Info describes a device.
type Info struct {
	Kind string // such as cpu
	Path string // the kernels it runs, such as avx512: results have the same bits on one path
	// HostAddressable means that this process can address the device's memory,
	// so that a row-major value is read in place.
	HostAddressable bool
	// PageRows is the number of positions in a page of carried state. A device
	// also accepts pages of a multiple of it.
	PageRows int
	// Memory is the bytes that the engine may take of the device's own memory;
	// 0 where it computes in memory of this process.
	Memory int64
}

// Device computes programs. It is safe for concurrent use.
//
// Calls fail with an error that wraps [transport.ErrDevice] when the hardware or
// its driver fails them. A [LostError] means that everything is lost: all
// memory, code and weights. Each later call fails with it, except those that
// free, which have no effect; Close is called when all has been freed.
type Device interface {
	Info() Info
	// Capabilities reports what the device lacks, before a plan is compiled for
	// it.
	Capabilities() Capabilities
	// Compile compiles a program to code. Its work is proportional to the plan.
	Compile(p *program.Program, w *op.Work) (Code, error)
	Memory
	// Begin and End enclose a run, or the calls of a dynamic batch: runs that
	// fill the processors themselves get no help.
	Begin()
	End()
	// Close frees the device's resources. Nothing may be running.
	Close()
}

// Capabilities answer the compiler's questions about a device.
type Capabilities struct {
	// Convolution reports whether there is a kernel for a convolution with
	// filters of this shape, for any number of images.
	Convolution func(c *program.Convolution, filters []int) bool
	// Pointwise reports whether there is a kernel for a pointwise operator, so that it
	// can be applied to a product's result.
	Pointwise func(o op.Op) bool
	// Elementwise reports whether the device computes a pointwise operator of these
	// inputs together with others, in one pass over memory; nil if it computes none
	// so.
	Elementwise func(o op.Op, in []plan.Spec) bool
	// Lacks reports whether the device cannot compute an operator from inputs of
	// these types and shapes, of floats if in is empty; nil if it can compute
	// all. A plan with such a step is refused, unless the device is combined with
	// the CPU, see package internal/device/mixed.
	Lacks func(o op.Op, in []plan.Spec) bool
}

// Use is the purpose of memory.
type Use uint8

// The uses.
const (
	UseScratch  Use = iota // of one run; initially undefined
	UseState               // carried state; initially zeros
	UseRetained            // values that stay with a session
)

// Buffer is memory of a device.
type Buffer interface {
	// Len is its size in bytes.
	Len() int
}

// Memory is the memory of a device. The caller has reserved what is allocated.
type Memory interface {
	// Alloc allocates at least n bytes. It stops when ctx ends.
	Alloc(ctx context.Context, use Use, n int) (Buffer, error)
	// Free releases a buffer; nil is none.
	Free(use Use, b Buffer)
	// Bytes returns the first n bytes of a retained value as memory of this
	// process: the device's own where the host can address it, else a copy,
	// whose memory the caller has reserved. The bytes must not be changed.
	Bytes(b Buffer, n int) ([]byte, error)
	// CopyRows copies n positions of a carried value, from position from of one
	// piece of memory to position to of another, until h says stop. It copies a
	// value that does not grow as a whole.
	CopyRows(dst Piece, to int, src Piece, from, n int, s State, h halt.Func) error
	// Download copies len(dst) bytes of a buffer, from byte off on, to memory
	// of this process, until h says stop; Upload copies the other way. In an
	// arena a value has its bytes where the [program.Bound] places it and by
	// its strides; in a page of state the positions are row-major. No group
	// that uses the bytes is queued.
	Download(dst []byte, b Buffer, off int, h halt.Func) error
	Upload(b Buffer, off int, src []byte, h halt.Func) error
}

// State describes a carried value: row-major, growing along Axis; -1 where it
// does not grow.
type State struct {
	DType plan.DType
	Shape []int
	Axis  int
}

// Piece is memory of a carried value with room for Positions positions.
type Piece struct {
	Buffer    Buffer
	Positions int
}

// Pages is where a carried value is stored: in one buffer, or in several of
// Rows positions each.
type Pages struct {
	Buffers []Buffer
	Rows    int
}

// WeightLayout is how a device stores a weight. It is comparable: equal layouts
// of equal content share one copy, across all sessions.
type WeightLayout any

// Weight is content in a layout.
type Weight interface {
	// Bytes is its current memory.
	Bytes() int64
	// Packed reports whether the content has been laid out for kernels.
	Packed() bool
	// Free releases the memory.
	Free()
}

// WeightSizes is the memory of a weight, in bytes. All of it follows from the
// plan.
type WeightSizes struct {
	Content int64 // in storage format
	Packed  bool  // the size that is counted
	Peak    int64 // held while it comes
	Held    int64 // held finally, after the first use
	Staging int64 // of this process, for content that has arrived but is not in its place
}

// WeightLoader takes the content of one weight in its storage format, in order, in
// pieces of any size.
type WeightLoader interface {
	// Write takes the next bytes, no more than the content has.
	Write(b []byte)
	// Finish returns the weight, which takes the memory over. After an error,
	// as after Abort, no memory is held.
	Finish() (Weight, error)
	Abort()
	// Bytes is the memory that it holds, excluding staging.
	Bytes() int64
}

// Code is a program as a device runs it. It is immutable and shared by sessions.
type Code interface {
	// Layouts is the layouts of the weights, by value.
	Layouts() map[int]WeightLayout
	// WeightSizes is the memory of a weight.
	WeightSizes(value int) (WeightSizes, error)
	// LoadWeight begins to load a weight, whose memory has been reserved.
	LoadWeight(value int, s WeightSizes) (WeightLoader, error)
	// Joint reports which groups benefit from being computed together for
	// several runs; nil where none does.
	Joint() []bool
	// NewRun binds the program to sizes and memory.
	NewRun(b *program.Bound, c Control) Run
	// NewBatch makes a batch, which computes joint groups. One goroutine at a
	// time may use it.
	NewBatch() Batch
	// RunHeap is the memory of this process that NewRun takes, in bytes.
	RunHeap() int64
	// Elsewhere names the device that runs a group instead of this one, by
	// group, "" for this one; nil if this one runs them all.
	Elsewhere() []string
}

// Control is queried by the kernels of a run. It is safe for concurrent use.
type Control interface {
	// Halt reports whether to stop. It may wait while other runs go first.
	Halt() bool
	// Halted reports whether Halt has returned true.
	Halted() bool
}

// Values are the values of a run, in the memory of its device.
type Values interface {
	// View is the bytes of a value where the host can address them and they are
	// row-major without gaps, else nil. It is valid until the memory is placed
	// again.
	View(value int) []byte
	// Read copies a value, row-major, to memory of this process, until it is halted.
	Read(value int, dst []byte) error
	// Copy copies a value, row-major, to memory of the device, until it is halted.
	Copy(value int, dst Buffer) error
}

// Run is a program bound to the sizes of a [program.Bound] and to memory. One
// goroutine at a time may use it.
type Run interface {
	Values
	// Prepare gives it its weights, by value, once. It lays out again those that
	// kernels need together with others, such as filters with their batch
	// normalisation. One that no group reads may be nil.
	Prepare(ctx context.Context, weights []Weight) error
	// Workspaces stores the workspace that kernels need in addition to the
	// buffers at the currently bound sizes, in bytes by lane.
	Workspaces(need []int)
	// Heap is the memory of this process that kernels take at these sizes, in bytes.
	Heap() int64
	// Place points the values at their memory before the groups run. The error
	// is [op.ErrHalted] when it was stopped.
	Place(p Placement) error
	// Forget makes the next Place do it for all values.
	Forget()
	// Groups runs groups from..to in order, or queues them behind earlier ones.
	// It returns the first group that it neither ran nor queued; with an error
	// that is the group that failed. times, nil for none, gets the time of each
	// group by its index. The error is [op.ErrHalted] when it was stopped.
	Groups(from, to int, times []time.Duration) (n int, err error)
	// Kernel names what computed group i when it last ran, as package
	// internal/kernelchoice does. What it is before the first run is undefined.
	Kernel(i int) string
	// Wait returns when nothing of the run is queued or running any more,
	// including in a batch, and also after an error or a panic of Groups. n is
	// the progress that Groups and batches reported. Wait returns the real
	// progress, and the error of a group that failed late, after which none has
	// run; times are complete. Whatever follows must wait for it: the memory of
	// the run is in use until then.
	Wait(n int) (int, error)
}

// Placement is the memory of a run.
type Placement struct {
	Arena  Buffer
	Inputs []Input // by input
	States []Pages // by state
	// Changed is the symbols whose sizes changed since the previous call, and
	// Moved means that a state has other memory than then.
	Changed uint64
	Moved   bool
}

// Input is an input of a run: bytes of this process, which stay unchanged until
// the run has ended, or memory of the device.
type Input struct {
	Data   []byte
	Buffer Buffer
}

// Batch computes groups for several runs of one program, each from another
// session.
type Batch interface {
	// Scratch is the scratch memory, in bytes, that products of this many rows
	// need.
	Scratch(rows int) int
	// Start begins the product of group i for all runs together, with scratch
	// memory, after everything the runs have queued.
	Start(i int, runs []Run, scratch Buffer)
	// Continue computes a part of it, until h says stop. done reports that it
	// is complete; an error means that the product cannot be computed jointly.
	Continue(h halt.Func) (done bool, err error)
	// Fault is the failure of run k's own part, nil for none. It is returned
	// once.
	Fault(k int) error
	// Each calls f for the runs from..n, concurrently where the device can. It
	// returns when all are done or h says stop, with the number reached. It
	// completes at least one.
	Each(from, n int, h halt.Func, f func(i int)) (to int)
	// Drop removes run k: later runs move up.
	Drop(k int)
}
