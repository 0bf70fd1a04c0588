// Package device is the contract between the engine and what computes.
//
// A device has memory that perhaps it alone can address, says in which layouts it
// wants weights, makes code of programs, and runs ranges of the groups of a program
// that is bound to sizes and memory. What is common to all devices is the engine's:
// sessions, carried state and its growth, who uses which weight, reservation before
// running, dynamic batches, cancellation, memory budgets.
//
// The interface is coarse: one call for a run, or for the stretch between two
// products that several runs share, never one for each step. Groups may run late, in a
// queue of the run's own: only [Run.Wait] says that they have. What a call of [Memory]
// does has been done when it returns.
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

// Options are what a device is opened with.
type Options struct {
	// Threads is the number of goroutines that compute; of devices that use any.
	Threads int
	// Int8Weights rounds the matrices that products read to 8 bits.
	Int8Weights bool
	// Budget counts what the device takes by itself: memory for weights that are
	// laid out anew when they are first used, and workspace that was not foreseen.
	Budget *budget.Budget
	// Reference computes every step by its operator's reference, for tests.
	Reference bool
	// Fault, which may be nil, is called at named places, for tests to panic there.
	Fault func(at string)
}

// Open opens a device.
type Open func(o Options) (Device, error)

// Info is what a device is.
type Info struct {
	Kind string // such as cpu
	Path string // which kernels it runs, such as avx512: results have the same bits on one path
	// HostAddressable says that this process can address the device's memory, so that
	// a value which lies row-major is read where it is.
	HostAddressable bool
	// PageRows is how many positions a page of carried state has. A device takes pages
	// of a multiple of it, too.
	PageRows int
}

// Device computes programs. It is safe for concurrent use.
type Device interface {
	Info() Info
	// Capabilities says what the device lacks, before a plan is compiled for it.
	Capabilities() Capabilities
	// Compile makes code of a program. It spends work in proportion to the plan.
	Compile(p *program.Program, w *op.Work) (Code, error)
	Memory
	// Begin and End enclose a run, or the calls of a dynamic batch: runs that fill the
	// processors by themselves get no help.
	Begin()
	End()
	// Close frees what the device holds. Nothing runs any more.
	Close()
}

// Capabilities is what a device can do, as the compiler asks it.
type Capabilities struct {
	// Convolution reports whether there is a kernel for a convolution with filters of
	// this shape, whatever the number of images.
	Convolution func(c *program.Convolution, filters []int) bool
	// Pointwise reports whether there is a kernel for a pointwise operator, so that it
	// can be applied to a product's result.
	Pointwise func(o op.Op) bool
	// Lacks reports whether the device has nothing that computes an operator; nil
	// where it has something for all. A plan with such a step is refused, unless the
	// device is combined with the CPU, see package internal/device/mixed.
	Lacks func(o op.Op) bool
}

// Use is what memory is for.
type Use uint8

// The uses.
const (
	UseScratch  Use = iota // of one run; undefined at first
	UseState               // carried state; zeros at first
	UseRetained            // values that stay with a session
)

// Buffer is memory of a device.
type Buffer interface {
	// Len is its size in bytes.
	Len() int
}

// Memory is the memory of a device. What is allocated has been reserved by the
// caller.
type Memory interface {
	// Alloc gives at least n bytes. It stops when ctx ends.
	Alloc(ctx context.Context, use Use, n int) (Buffer, error)
	// Free gives a buffer back; nil is none.
	Free(use Use, b Buffer)
	// Bytes gives the first n bytes of a retained value as memory of this process:
	// the device's own where the host can address it, else a copy, whose memory the
	// caller has reserved. They must not be changed.
	Bytes(b Buffer, n int) ([]byte, error)
	// CopyRows copies n positions of a carried value, from position from of one piece
	// of memory to position to of another, until h says stop. Where the value does not
	// grow it is copied whole.
	CopyRows(dst Piece, to int, src Piece, from, n int, s State, h halt.Func) error
	// Download copies len(dst) bytes of a buffer, from byte off on, to memory of this
	// process, until h says stop, and Upload copies the other way. In an arena a value
	// has its bytes where the [program.Bound] says and by its strides, and in a page of
	// state the positions are row-major. No group that uses the bytes is queued.
	Download(dst []byte, b Buffer, off int, h halt.Func) error
	Upload(b Buffer, off int, src []byte, h halt.Func) error
}

// State is a carried value: row-major, growing along Axis; -1 where it does not grow.
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

// Pages is where a carried value lies: in one buffer, or in several of Rows positions
// each.
type Pages struct {
	Buffers []Buffer
	Rows    int
}

// WeightLayout is how a weight is held on a device. It is comparable: equal layouts
// of equal content are one copy, for all sessions.
type WeightLayout any

// Weight is content in a layout.
type Weight interface {
	// Bytes is the memory that it takes now.
	Bytes() int64
	// Packed reports whether the content has been laid out for kernels.
	Packed() bool
	// Free gives the memory back.
	Free()
}

// WeightSizes is the memory that a weight takes, in bytes. All of it follows from
// the plan.
type WeightSizes struct {
	Content int64 // in storage format
	Packed  bool  // what it counts as
	Peak    int64 // held while it comes
	Held    int64 // held at last, once it has been used
	Staging int64 // of this process, for what has come and is not in its place
}

// WeightLoader takes the content of one weight in its storage format, in order, in
// pieces of any size.
type WeightLoader interface {
	// Write takes the next bytes, no more than the content has.
	Write(b []byte)
	// Finish gives the weight, which takes the memory over. On an error, as on Abort,
	// nothing is left.
	Finish() (Weight, error)
	Abort()
	// Bytes is the memory that it holds beside staging.
	Bytes() int64
}

// Code is a program as a device runs it. It is immutable and shared by sessions.
type Code interface {
	// Layouts is how the weights are held, by value.
	Layouts() map[int]WeightLayout
	// WeightSizes is the memory of a weight.
	WeightSizes(value int) (WeightSizes, error)
	// LoadWeight takes a weight, whose memory has been reserved.
	LoadWeight(value int, s WeightSizes) (WeightLoader, error)
	// Joint says which groups are worth being computed at once for several runs; nil
	// where none is.
	Joint() []bool
	// NewRun binds the program to sizes and memory.
	NewRun(b *program.Bound, c Control) Run
	// NewBatch makes what computes joint groups. It is of one goroutine at a time.
	NewBatch() Batch
	// RunHeap is the memory of this process that NewRun takes, in bytes.
	RunHeap() int64
	// Elsewhere names the device that runs a group in place of this one, by group, ""
	// where it is this one; nil where this one runs them all.
	Elsewhere() []string
}

// Control is what the kernels of a run ask. It is safe for concurrent use.
type Control interface {
	// Halt reports whether to stop. It may wait while others go first.
	Halt() bool
	// Halted reports whether Halt has said so.
	Halted() bool
}

// Run is a program that is bound to the sizes of a [program.Bound] and to memory. It
// is of one goroutine at a time.
type Run interface {
	// Prepare gives it its weights, by value, once, and lays out anew what kernels
	// want together with others, such as filters with their batch normalisation. One
	// that no group reads may be nil.
	Prepare(ctx context.Context, weights []Weight) error
	// Workspaces says how many bytes kernels need beside the buffers at the sizes that
	// are bound now, by lane.
	Workspaces(need []int)
	// Heap is the memory of this process that kernels take at these sizes, in bytes.
	Heap() int64
	// Place points the values at their memory before the groups run. It is
	// [op.ErrHalted] when it was stopped.
	Place(p Placement) error
	// Forget makes the next Place do it for all values.
	Forget()
	// Groups runs groups from..to in order, or queues them behind those before, and
	// returns the first of which it did neither, which is the one that failed where
	// there is an error. times, nil for none, gets the time of each group by its index.
	// It is [op.ErrHalted] when it was stopped.
	Groups(from, to int, times []time.Duration) (n int, err error)
	// Wait returns when nothing of the run is queued or runs any more, in a batch
	// either, also after an error or a panic of Groups. n is how far Groups and batches
	// have come as they said. It gives how far they really came, and the error of the
	// group that failed late, behind which none has run; times are complete. What
	// follows waits for it: the memory of the run is in use until then.
	Wait(n int) (int, error)
	// View is the bytes of a value where the host can address them and they lie
	// row-major without gaps, else nil. It is valid until the memory is placed anew.
	View(value int) []byte
	// Read copies a value, row-major, to memory of this process, until it is halted.
	Read(value int, dst []byte) error
	// Copy copies a value, row-major, to memory of the device, until it is halted.
	Copy(value int, dst Buffer) error
}

// Placement is the memory of a run.
type Placement struct {
	Arena  Buffer
	Inputs []Input // by input
	States []Pages // by state
	// Changed is the symbols whose sizes changed since the last time, and Moved says
	// that a state has other memory than then.
	Changed uint64
	Moved   bool
}

// Input is an input of a run: bytes of this process, which stay as they are until
// the run has ended, or memory of the device.
type Input struct {
	Data   []byte
	Buffer Buffer
}

// Batch computes groups for several runs of one program, each of another session.
type Batch interface {
	// Scratch is how many bytes of scratch memory products of so many rows need.
	Scratch(rows int) int
	// Start begins the product of group i for all runs at once, with scratch memory,
	// behind what the runs have queued.
	Start(i int, runs []Run, scratch Buffer)
	// Continue computes a part of it, until h says stop. done says that all of it is
	// computed; an error that the product cannot be computed jointly.
	Continue(h halt.Func) (done bool, err error)
	// Fault is what went wrong in run k's own part, nil for nothing. It is given once.
	Fault(k int) error
	// Each calls f for the runs from..n, at one time where the device can, and returns
	// when all are done or h says stop: how far it came. It does one at least.
	Each(from, n int, h halt.Func, f func(i int)) (to int)
	// Drop lets run k go: those behind it move up.
	Drop(k int)
}
