package engine

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/plan"
)

// What an engine, its programs, sessions, bindings and calls hold. They refer to each
// other, so their types are in one file, below the files that hold their methods.

// Options configure an engine. The zero value is ready to use.
type Options struct {
	// Threads is the number of goroutines that compute, GOMAXPROCS when 0.
	Threads int
	// MaxScratch bounds the scratch, input and state memory of one run, in
	// bytes; 0 means 16 GiB.
	MaxScratch int64
	// MaxPlans bounds the number of compiled plans held that no open session
	// uses; 0 means [MaxIdlePlans]. The least recently used one is dropped
	// first, also when its memory is needed.
	MaxPlans int
	// MaxPlanBytes bounds the memory of the same plans; 0 means
	// [MaxIdlePlanBytes], or a quarter of MemLimit if that is less.
	MaxPlanBytes int64
	// MemLimit bounds all big memory together, in bytes: weights, state,
	// retained values, scratch, and a worker's receive buffers. 0 for no limit.
	MemLimit int64
	// SessionMemory bounds the state and the retained values of each session,
	// in bytes. 0 for no limit.
	SessionMemory int64
	// MaxStepFLOPs bounds the arithmetic of each step of a run, in
	// floating-point operations, or elements for a step that only moves them:
	// sizes at which a step exceeds it are refused with [transport.ErrLimit]. 0
	// for no limit.
	MaxStepFLOPs float64
	// Profile measures the time inside kernels, see [Call.KernelTime].
	Profile bool
	// Trace is called with the kernels of each profiled run, in order, as the
	// profile names them. It may be nil, and must not call the engine.
	Trace func(kernel string)
	// Int8Weights rounds the matrices of products to 8 bits, with a scale for
	// each output: an element changes by at most 1/254 of the largest one of
	// its output. It is the only option that changes numbers.
	Int8Weights bool
	// Branches runs two independent parts of a plan concurrently, each on a
	// thread. The bits are the same either way.
	Branches bool
	// MaxBatch is the maximum number of sequences of different sessions that
	// run in one dynamic batch, see [Call.Run]; 0 means [DefaultMaxBatch], and
	// 1 none. The bits are the same either way.
	MaxBatch int
	// Portions makes runs over many rows, such as prefills, in portions that take
	// part in the dynamic batches of other sessions. The bits are the same either
	// way; sessions that decode wait less, and the run takes longer.
	Portions bool

	// Custom are the operators of a user that plans may name; nil for none.
	Custom *custom.Table
	// Device opens the device; it is required.
	Device device.Open

	// For tests: steps run separately, and by their references.
	separate, plain bool
	fault           func(at string) // see [Engine.fault]
}

// Engine holds compiled plans, weights and threads. It is safe for concurrent
// use.
type Engine struct {
	opts   Options
	epoch  uint64
	budget *budget.Budget
	host   *arenas[[]byte] // for inputs that the engine is asked to receive

	current  atomic.Pointer[incarnation] // of the device; the last one
	info     atomic.Pointer[device.Info] // of the device that was opened last
	weights  weightCounts
	losses   losses
	onDevice atomic.Pointer[func(s DeviceState, err error)] // see OnDevice
	renewing sync.WaitGroup
	life     context.Context //nolint:containedctx // ends when the engine closes
	end      context.CancelFunc

	possession atomic.Pointer[transport.PossessionKey] // see KeepTags

	mu       sync.Mutex
	closed   bool
	programs map[plan.Hash]*Program
	alike    map[plan.Hash][]*Program // counted programs, by what they compute
	unused   list.List                // programs that no session uses, the longest unused first
	sessions map[*Session]struct{}
	nextID   uint64

	unusedBytes int64         // of the programs that no session uses
	calls       atomic.Uint64 // begun: the clock that orders bindings by age

	profile  map[string]time.Duration // by label of a group, of dropped programs
	profiled map[*Program]struct{}    // programs that have a profile
	slow     device.ReferenceCount    // groups without a kernel

	runs, ops, plansSeen, kernelNS, batches, batched, portions atomic.Int64
}

// Program is a compiled plan with the kernels of its groups and the layouts of
// its weights. It is immutable, except for the fields noted below, and shared
// by sessions.
type Program struct {
	*program.Program

	on     *incarnation // whose device compiled it
	hash   plan.Hash
	same   plan.Hash // of what it computes: programs that have it in common share code and batching
	code   device.Code
	layout map[int]device.WeightLayout // by weight value
	keys   []WeightKey                 // of the weights, each once
	keyOf  []int                       // by key: a value that has it
	keysOf map[plan.Hash][]int         // by content of weights: their few keys

	// crossed is by state: its new value is stored in memory of a state that is
	// also replaced, perhaps itself, so it is copied aside before any is
	// replaced.
	crossed []bool

	batching *batching         // how calls are batched, nil where they are not; it alone changes
	division *program.Division // how runs are made in portions, nil where they are not
	size     int64             // bytes, see [Program.measure]
	bound    int64             // bytes of a binding
	profile  []time.Duration   // under the engine's lock: by group, nil where nothing was measured
	users    int               // under the engine's lock: sessions that use it
	counted  bool              // under the engine's lock: it is counted in the budget
	idle     *list.Element     // under the engine's lock: in the list of unused programs
}

// Session owns carried state, retained values and bound programs. Its calls run
// one at a time; different sessions run concurrently.
type Session struct {
	e      *Engine
	on     *incarnation // whose device holds its memory
	id     uint64
	budget sessionBudget
	last   atomic.Uint64 // call, by the engine's clock

	run      sync.Mutex // held by the running call, by Reset and by Close
	mu       sync.Mutex // guards the fields below
	closed   bool
	broken   error // a call panicked outside the kernels
	states   map[string]*state
	retained map[uint64]*retained
	used     map[*Program]struct{} // programs whose weights stay while the session is open
	bound    map[*Program]*binding
	profiles map[*Program]*programProfile // of runs that were measured
	nextID   uint64
	gen      uint64
	blank    []state
	resets   int // number of times that states was cleared
}

// binding is a program bound to sizes and memory. A session retains one for
// each of its programs, so that a step of a loop only computes what changed.
type binding struct {
	prog      *Program
	bound     *program.Bound
	run       device.Run
	changed   uint64 // symbols that changed since the last run
	moved     bool   // a state's memory was replaced
	states    []*state
	seen      []uint64 // by state: its version when the run took over its pages
	growing   []growth // states that the call makes larger
	need      []int    // bytes of workspace, by lane
	ready     bool     // weights are found
	resets    int      // of the session, when states was filled
	last      uint64   // call, by the engine's clock
	heap      int64    // that kernels take, see takeHeap
	place     device.Placement
	call      Call      // the session's one call of this program
	batchCall batchCall // the same in dynamic batches
	runWhole  func(ctx context.Context) error
}

// Call is one run of a program in a session. Use it from one goroutine and
// release it.
type Call struct {
	s       *Session
	b       *binding
	staged  [][]byte // input memory owned by the call
	arena   device.Buffer
	spare   int64       // reserved for copies of outputs
	growing int64       // reserved for states that will grow, until they do
	grown   int64       // taken from the session's budget for the same
	keeping int64       // reserved for outputs that will be retained
	used    []*retained // inputs that are retained values
	outputs []output
	aside   []device.Buffer     // by state: its new value until it is copied, nil for most
	copies  [][]byte            // memory of outputs that are stored outside the arena
	small   [][smallOutput]byte // memory of small outputs, by output
	elapsed time.Duration
	kernel  time.Duration
	times   []time.Duration // by group, when the engine profiles or the call is measured
	profile *programProfile // where the times go, nil unless the call is measured
	locked  bool
	pace    pace
	broken  bool     // it was stopped: its memory goes back to the system
	parts   portions // of a run that is made in several
}

// batching runs calls of programs that compute the same in a batch: each group that multiplies
// with a matrix which the device wants to read once is one product of all their
// rows, and everything else runs for each call separately. Products give a row
// the same bits whatever other rows they compute, so each call computes what it
// computes alone.
type batching struct {
	batcher *batcher
	joint   []bool  // by group
	outs    []int32 // shape classes of the outputs of joint groups
	batch   device.Batch
	eachOf  func(i int) // runs groups of call i
	halt    halt.Func   // stopped

	// Of the running batch.
	e     *Engine
	on    *incarnation
	calls []*batchCall
	runs  []device.Run
	mem   device.Buffer // of its products, nil if there is none
	halts bool          // it has several calls, and halt is asked
	// The groups between from and to are in progress: one product, or groups
	// that run for each call. done is the number of calls that completed
	// them.
	from, to, done int
	started        bool // the product has been started
	apart          bool // each call computes the product separately
	begun          bool // it has taken its memory
	orphaned       bool // the leading call has left
}

// batcher batches calls of programs that compute the same, each from another
// session. A call that arrives during a batch waits for the next one, which
// takes all waiting calls in the order of arrival. The first of them gathers the
// batch and runs it on its own goroutine. A lone call runs at once: it waits only
// for calls that recently returned quickly.
//
// Portions of long runs wait in a list of their own. A batch has as many of their
// rows in addition as the other calls can bear.
type batcher struct {
	limit int // maximum rows of a batch, except those of portions
	// run runs the calls of a batch and returns those that stayed to its end;
	// it releases the others earlier. When the batch is not over, its leader
	// has left, and resume runs the rest.
	run    func(calls []*batchCall) (stay []*batchCall, over bool)
	resume func() (stay []*batchCall, over bool)

	mu      sync.Mutex
	busy    bool         // a batch is being gathered or runs
	waiting []*batchCall // in the order of arrival
	rows    int          // of the waiting calls
	riding  []*batchCall // portions that wait, in the order of arrival
	ride    ride         // how many of their rows a batch has
	always  int          // for tests: rows of each portion, whoever else runs
	ended   int          // batches
	due     int          // calls of the last batch that are waited for
	until   time.Time    // and until when

	gathering bool
	timer     *time.Timer   // of the leader that gathers
	look      chan struct{} // a token: the wait may be over
	batch     []*batchCall  // of the running batch
}

// batchCall is a call that takes part in batches. A session has one for each of
// its programs.
type batchCall struct {
	call *Call
	ctx  context.Context //nolint:containedctx // of the call, while it runs
	rows int             // of its products, at most
	wake chan struct{}   // a token: its batch is over, or it is to run one
	lead bool            // it gathers or runs a batch
	err  error

	portion bool // of a run with more rows, see [portions]
	until   int  // groups that it runs

	// In a batch.
	at int // the running group, or the one that failed
	// What follows is guarded by the mutex of the batcher.
	dueIn int           // the batch after which it is waited for
	left  time.Time     // when that batch released it, while it is away
	away  time.Duration // its last delay; 0 when unknown
}

// state is a carried value, in one page of memory or in several with equally
// many positions: axis has room for capacity positions in each page, and in
// total shape[axis] positions are valid.
type state struct {
	name     string
	mode     plan.StateMode
	dtype    plan.DType
	axis     int
	shape    []int // in dims
	dims     [plan.MaxRank]int
	capacity int
	pages    []*page
	version  uint64 // counts changes of pages
	lost     bool   // an in-place write was interrupted
}

// page is memory of carried state. Sessions share pages: a shared one is copied
// before a run writes to it. Every session counts it, the engine's budget
// counts it once.
type page struct {
	mem  device.Buffer
	refs atomic.Int32 // sessions
}

// output is an output of a finished run.
type output struct {
	t   transport.Tensor
	h   transport.Handle
	n   int           // bytes
	mem device.Buffer // of a value to be retained, until the session has it
}

// retained is a value that the session retains. The session's lock guards what
// changes.
type retained struct {
	dtype plan.DType
	shape []int
	mem   device.Buffer
	n     int // bytes
	gen   uint64

	coming *Arriving // until it has arrived; nil for a value of a run
	host   []byte    // a copy for readers, where the host cannot address mem
	users  int       // current uses by calls and readers
	gone   bool      // the session has released it: the last user frees it
}

// usable is nil while calls can be made. The caller holds the session's lock.
func (s *Session) usable() error {
	if s.closed {
		return fmt.Errorf("%w: session", transport.ErrClosed)
	}
	if s.broken != nil {
		return s.broken
	}
	return s.on.gone()
}

func (s *Session) breaks(r any) error {
	err := device.Caught(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = fmt.Errorf("%w: session %d is of no use since a call of it panicked", transport.ErrInternal, s.id)
	}
	return err
}

// guard makes a panic outside the kernels an error of the call. The progress of
// its bookkeeping is unknown, so the session runs no other call; its memory is
// released when it closes.
func (s *Session) guard(err *error) {
	if r := recover(); r != nil {
		*err = s.breaks(r)
	}
}

// PanicError is [device.PanicError].
type PanicError = device.PanicError

// sessionBudget is the memory budget of one session: its own limit, and the
// budget of its tenant.
type sessionBudget struct {
	limit int64 // bytes; 0 for none
	used  atomic.Int64
	payer TenantBudget
}

// TenantBudget is the memory budget of one tenant's sessions. It is safe for
// concurrent use.
type TenantBudget interface {
	// Take counts n bytes before they are taken, or refuses them.
	Take(n int64) error
	// Give counts n bytes that have been released.
	Give(n int64)
}
