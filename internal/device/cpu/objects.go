package cpu

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// What a device, its code and its runs hold. They refer to each other, so their types
// are in one file, below the files that hold their methods.

// Device implements [device.Device].
type Device struct {
	opts    device.Options
	pool    *pool
	weights memory.Slabs
	states  memory.Slabs
}

// buffer is memory of the device.
type buffer struct{ mem []byte }

// step is a group bound to memory for one session and program.
type step struct {
	op    op.Op // of the group's first step
	group *program.Group
	in    []*op.Array
	out   *op.Array
	// reference is set by the reference: it computed the group last.
	reference bool

	with []*op.Array // by stage of the group: the second operand, if any
	// elements are the kernels of the group's stages, or of its single
	// pointwise operator.
	elements    []elementwise
	blocks      *blockProgram // of elementwise operators, and their loops
	nest        *nest
	copier      *copier       // of an operator that copies
	reducing    *reducing     // of a reduction
	resizing    *resizing     // of a resize
	transposing *transposing  // of a transposed convolution
	recurring   *recurring    // of a recurrent layer
	inputs      *copiedInputs // of a kernel that may copy inputs
	gather      gathering
	// denseIndex: the indices of a gather have no gaps.
	denseIndex bool
	start      *op.Array // attention: padding of each sequence, if any
	mask       *op.Array // attention: its mask, if any
	copied     *copies   // attention: nil where the rows of all operands are dense
	// keys and values are the pages of an attention's operands, and values
	// those that an append writes to; nil for a value that is not state.
	keys, values *pages
	packed       *weight // in[0] (embedding) or in[1] (matmul) where it is stored in panels
	job          *job
	pool         *pool
	work         *workspace
	scratch      *sampler
	halt         halt.Func // whether to stop; nil for a step that is not a kernel

	rowBlocks, colBlocks int // chunks of a product with one matrix, or of an attention: blocks of rows and of heads

	conv          kernels.ConvShape
	poolShape     kernels.PoolShape
	pooling       *pooling  // of a pool
	pads          *padding  // of a pad
	residual      *op.Array // convolution: the residual, if any
	turned        op.Array  // convolution: the image with channels last
	turnedStrides [4]int
	packedNow     []byte     // convolution: memory of filters that are not weights
	arrays        []op.Array // convolution: all values of the plan
	prog          *program.Program
	lanes         *lanes      // the lanes of a run
	batch         *batch      // of a joint product
	each          func(i int) // see [batch.Each]
}

// run implements [device.Run].
type run struct {
	d       *Device
	code    *code
	prog    *program.Program
	bound   *program.Bound
	ctl     device.Control
	halt    halt.Func
	arrays  []op.Array // by value
	steps   []step     // by group
	weights []*weight  // by value
	states  []pages    // by state
	work    []*workspace
	lanes   *lanes // nil without lanes
	job     *job
	placed  []byte // arena that the values point into, nil when all must be placed
	ready   bool   // weights are loaded
}

// code implements [device.Code].
type code struct {
	d         *Device
	prog      *program.Program
	elements  [][]elementwise // by group: the kernels of its pointwise operators
	blocks    []*blockProgram // by group: that of elementwise operators
	kernels   []chosen        // by group
	layout    map[int]layout  // by weight value
	filtersIn map[int]int     // by value: the first convolution that uses it as filters
	worked    []int           // groups whose kernels may need workspace, see [code.findWorkspaces]
	drawn     []drawing       // groups whose kernels take memory of the Go heap
	joint     []bool          // by group; nil where no group is joint
	jointK    int             // maximum rows of the matrices of joint groups
	jointN    int             // and columns
}

// drawing is a group whose kernel takes memory of the Go heap.
type drawing struct {
	group int
	need  func(s *step) int64
}

// workspace is the memory in which the kernels of one lane of a run work, in
// addition to the buffers of its values. It is part of the run's arena, so that
// a run has all its memory before it begins.
type workspace struct {
	d *Device

	mu    sync.Mutex
	mem   []byte
	top   int // memory after it has not been handed out since all of it was free
	taken int // pieces
	free  [][]byte
}

// weight is content in the layout that kernels read, off the Go heap. It implements
// [device.Weight].
type weight struct {
	d      *Device
	data   []byte // under mu where packed filters replace it
	layout layoutKind
	elem   element
	shape  []int
	k, n   int       // of the matrix in panels
	scales []float32 // of its columns, elements of 8 bits

	mu      sync.Mutex    // of data and packed, for readers that count memory
	packing chan struct{} // held by a token: filters are packed at first use, see [Device.pack]
	packed  bool
	bias    []float32 // filters: what is added after them
}

// element is the type of the elements in panels. Products widen them and add in
// float32.
type element uint8

const (
	elemF32 element = iota
	elemF16
	elemBF16
	elemI8 // with a scale for each column
)

// batch implements [device.Batch]. A product gives a row the same bits whatever
// other rows it is computed with, so each run computes what it computes alone.
type batch struct {
	code *code
	job  *job
	step step      // of the chunks
	runs []portion // the runs that take part in the product
	done int       // of its chunks
	now  product   // the current product
	err  error
}

// portion is the rows of one run in a joint product.
type portion struct {
	run          *run
	first, count int
	failed       *device.Failure // panic in a chunk of its own part
}

// product is C = A x B with the rows of several runs: A [rows, k], B [k, n] in
// panels. Each run takes its rows of C and continues with them alone.
type product struct {
	group      int
	packed     *weight
	a, c       []float32
	rows, k, n int
}

// lanes runs the lanes of a program concurrently.
type lanes struct {
	of    *run
	times []time.Duration
	step  step
	job   *job
	at    []int // by lane: the running group, or its end
	errs  []error
}

// kernel computes one step. It is chosen once, when a plan is compiled; an
// operator without a kernel runs its reference.
type kernel func(s *step) error

// elementwise is a kernel of a pointwise operator. dst may be a source.
type elementwise struct {
	unary  func(dst, src []float32)
	binary func(dst, a, b []float32)
	scalar func(dst, a []float32, b float32) // binary with one element for all
}

// job is one loop over n positions. Its owner reuses it from loop to loop.
type job struct {
	fn      func(s *step, lo, hi int)
	step    *step
	n, size int // chunks of size positions over n positions
	next    atomic.Int64
	// pending is the number of helpers that have the job, plus waiting when
	// the owner sleeps until they are done.
	pending atomic.Int32
	done    chan struct{}
	failed  atomic.Pointer[any] // first panic of a chunk
}

// pool is a set of goroutines that help with loops. During a run an idle helper
// watches its mailbox for a moment, since the next loop is microseconds away,
// and then sleeps; between runs all of them sleep. Runs that fill the
// processors themselves get no helpers.
type pool struct {
	threads int
	helpers []*helper
	running atomic.Int32 // runs in progress
	wg      sync.WaitGroup
}

// helper has room for one job at a time.
type helper struct {
	box    atomic.Pointer[job] // a job that it may take; taken while it works on one
	asleep atomic.Bool
	wake   chan struct{}
	_      [64]byte // mailboxes are written from several processors
}

// layout is how a weight is stored: a single copy that all its readers share.
// It is comparable, see [device.WeightLayout].
type layout struct {
	kind layoutKind
	// conv is the geometry of a convolution as far as it decides how filters
	// are stored, and fold the batch normalisation folded into them.
	conv      op.Conv2D
	algorithm kernels.ConvAlgorithm
	fold      plan.Hash
	spec      device.WeightSpec
}

type layoutKind uint8

const (
	dense     layoutKind = iota // f32 or index elements, row-major
	panels                      // a matrix [k, n] in the panels of kernels.GemmPacked
	columns                     // a matrix [n, k] whose transpose is in such panels
	filters                     // filters in the layout of kernels.PackConvFilters
	anyLayout                   // requested by a reader that accepts all of the above
)

// fault lets tests panic at a named place.
func (d *Device) fault(at string) {
	if d.opts.Fault != nil {
		d.opts.Fault(at)
	}
}

// weightSize is the memory that a weight takes, in bytes. All of it follows
// from the plan.
type weightSize struct {
	want    int64 // content in storage format
	first   int64 // held during loading
	rounded int64 // elements of 8 bits, made when all content has arrived
	held    int64 // held finally
	stage   int64 // arrived content that is not in its place; 0 where it is stored as it arrives
	wide    int64 // the same as float32
	width   int   // elements of a row
}

const (
	stageRows  = 4 * kernels.PanelWidth // whole panels of a transposed matrix
	stageElems = 16 << 10
)

// pages is where a carried value is stored.
type pages struct {
	mem    [][]byte
	floats [][]float32 // the same as float32
	rows   int         // of each
}
