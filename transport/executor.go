package transport

import (
	"context"
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// Tensor is host memory with a shape: little-endian elements, row-major,
// without gaps.
type Tensor struct {
	DType plan.DType
	Shape []int
	Data  []byte
}

// Elements is the product of the shape.
func (t Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Handle names a value that an executor retains. A handle is valid in the
// session and the epoch (incarnation of the executor's memory) that issued it,
// until it is released or its session closes. Later uses are [ErrStaleHandle].
type Handle struct {
	Session    uint64
	ID         uint64
	Epoch      uint64
	Generation uint64
}

// IsZero reports whether h names nothing.
func (h Handle) IsZero() bool { return h == Handle{} }

// Weight is the content of one weight.
type Weight struct {
	Name    string
	Hash    plan.Hash  // see [HashWeight]
	Storage plan.DType // element type of Data
	Shape   []int
	Data    []byte // valid until the source is closed
	// File is the file that Data is a mapped view of; empty where Data is
	// memory of this process. A file that is cut short while it is mapped makes
	// a read of Data fault, which ends the process: read it with [Weight.Read]
	// or [Weight.CopyTo].
	File string
	// Distrust, if not nil, is called when Data does not have the hash. The
	// source then checks again what it has stored about the file.
	Distrust func()
	// Release, if not nil, is called when Data has been consumed and may leave
	// memory until it is read again.
	Release func()
}

// WeightSource finds weights by content. Implementations are safe for
// concurrent use.
type WeightSource interface {
	// Weight returns the content named by hash, or an error wrapping
	// [ErrMissingWeight].
	Weight(hash plan.Hash) (Weight, error)
	// Model is the name under which an executor may find the same content in
	// its own model folder; empty without one.
	Model() string
}

// Progress is called with the number of bytes done of total, by goroutines of
// the executor, one at a time for each session. It must not block.
type Progress func(done, total int64)

// Executor runs plans. Implementations are safe for concurrent use.
type Executor interface {
	// NewSession opens a session, which is independent of other sessions.
	NewSession(ctx context.Context) (Session, error)
	// Ledger counts what this executor sends and receives. A local executor
	// moves nothing and its ledger stays at zero.
	Ledger() *Ledger
	// Stats reports what the executor has done so far. A remote executor asks
	// its worker.
	Stats(ctx context.Context) (Stats, error)
	// Close closes all sessions, as [Session.Close] does, and frees what the
	// executor holds.
	Close() error
}

// PlanRef names a prepared plan within one session.
type PlanRef interface {
	// Hash is the content hash of the plan.
	Hash() plan.Hash
}

// Session is one tenant of an executor: carried state, retained values,
// prepared plans. Calls of one session run one after the other, in the order in
// which they were made; different sessions run concurrently. A call that waits
// for another one returns when its context ends. Implementations are safe for
// concurrent use.
type Session interface {
	// Prepare makes p ready to run: the plan is sent unless the executor has
	// it, and so is each weight that the executor does not find by hash.
	// progress may be nil. What the reference costs the executor it costs while
	// the caller has it. A plan for a device that the executor does not have is
	// [ErrInvalidPlan].
	Prepare(ctx context.Context, p *plan.Plan, weights WeightSource, progress Progress) (PlanRef, error)
	// Run runs a prepared plan. When ctx ends, the run stops, also on a remote
	// executor. Carried state then keeps its value from before the run, and the
	// error wraps the cause of ctx.
	Run(ctx context.Context, call Call) (Result, error)
	// Read copies a retained value.
	Read(ctx context.Context, h Handle) (Tensor, error)
	// Release frees retained values. Unknown handles are ignored.
	Release(ctx context.Context, h ...Handle) error
	// Reset clears all carried state of the session.
	Reset(ctx context.Context) error
	// Close frees everything that the session holds. A call that is under way is
	// cancelled, and it, those that wait and all later ones are [ErrClosed]. It
	// waits for no caller: a loop's callback may close its session.
	Close() error
}

// Call is one run of a prepared plan.
type Call struct {
	Plan PlanRef
	// Bindings gives a size to each symbol of the plan, in the order of
	// [plan.Plan.Symbols].
	Bindings []int
	// Inputs has an entry for each of the plan's inputs, in their order.
	Inputs []Input
	// Profile adds what the run spends on each group to the profile of its plan
	// in the session, which [Executor.Stats] returns while the session is open.
	// In a loop it is all runs of this call. The profile is memory that the
	// session holds.
	Profile bool
	// Into, if not nil, has an entry for each of the plan's outputs, in their
	// order: the memory that a downloaded output goes to, exactly as long as the
	// output, or nil for memory of its own. It saves a large result a copy and
	// fresh memory. When Run has returned, nothing writes to it; after an error
	// its content is undefined. An executor may leave it unused: the output that
	// it returns is then in other memory.
	Into [][]byte
}

// Input is the bytes of an input or the handle of a retained value.
type Input struct {
	Data   []byte // little-endian elements; the shape follows from the bindings
	File   string // of which Data is a mapped view, as in [Weight]; empty otherwise
	Handle Handle // used when not zero
	Cause  plan.Cause
}

// Result has an entry for each of the plan's outputs, in their order.
type Result struct {
	Outputs []OutputValue
	// Elapsed is the time that the executor spent on the run, without
	// transfers.
	Elapsed time.Duration
}

// OutputValue is one output: its bytes when the plan says download, a handle
// when the plan says retain.
type OutputValue struct {
	Tensor Tensor // Data is nil for a retained value
	Handle Handle
}

// Stats is the activity of an executor since it started.
type Stats struct {
	PID          int    `json:"pid"` // process of the executor
	CPU          string `json:"cpu"` // kernel path: generic, avx2 or avx512
	Runs         int64  `json:"runs"`
	Ops          int64  `json:"ops"`      // operators executed
	Sessions     int64  `json:"sessions"` // open now
	Plans        int64  `json:"plans"`    // held now
	PlansSent    int64  `json:"plans_received"`
	Weights      int64  `json:"weights"`      // held now
	WeightBytes  int64  `json:"weight_bytes"` // held now, including weights that are arriving
	WeightsSent  int64  `json:"weights_received"`
	StateBytes   int64  `json:"state_bytes"`   // held now, by sessions
	ScratchBytes int64  `json:"scratch_bytes"` // held now
	PeakRSS      int64  `json:"peak_rss_bytes"`
	// BatchedRuns is how many of Runs ran together with runs of other sessions,
	// and Batches how often: BatchedRuns/Batches is the mean of a batch.
	Batches     int64 `json:"batches"`
	BatchedRuns int64 `json:"batched_runs"`

	// MemoryUsed is the sum of weights, state, retained values, scratch,
	// staging, plans and buffers. A request that would take it beyond
	// MemoryLimit (0 means no limit) is a [MemoryError].
	MemoryUsed      int64 `json:"memory_used_bytes"`
	MemoryLimit     int64 `json:"memory_limit_bytes"`
	PackedBytes     int64 `json:"packed_bytes"`     // of the weights, in the layout that kernels read
	RetainedBytes   int64 `json:"retained_bytes"`   // outputs that sessions retain
	StagingBytes    int64 `json:"staging_bytes"`    // received payloads before they are used
	PlanBytes       int64 `json:"plan_bytes"`       // plans and their bindings in sessions
	BufferBytes     int64 `json:"buffer_bytes"`     // of connections, sessions and uploads
	WeightEvictions int64 `json:"weight_evictions"` // weights evicted from memory
	CacheHits       int64 `json:"cache_hits"`       // weights found in the cache on disk
	CacheMisses     int64 `json:"cache_misses"`     // weights not found there
	CacheBytes      int64 `json:"cache_bytes"`      // of files there
	CacheEntries    int64 `json:"cache_entries"`    // files there
	CacheEvictions  int64 `json:"cache_evictions"`  // files evicted from there
	UploadsResumed  int64 `json:"uploads_resumed"`  // weight uploads resumed after a lost connection
	// KernelTime is the time spent inside kernels. A local executor measures it
	// when it profiles; otherwise it is 0.
	KernelTime time.Duration `json:"kernel_ns"`
	// Kernels divides KernelTime by computation: the operators of a step, or of
	// several steps that were fused, and the shape of a matrix if there is one.
	Kernels map[string]time.Duration `json:"kernels,omitempty"`
	// References is how many groups the executor has computed by the reference
	// of an operator, since it has no kernel for them, and ReferenceTime the
	// time that this took.
	References    int64         `json:"references"`
	ReferenceTime time.Duration `json:"reference_ns"`
	// Profiles are those of the plans that open sessions of this executor, as
	// its caller opened them, ran with [Call.Profile].
	Profiles []Profile `json:"profiles,omitempty"`
}
