// Package engine runs plans on a device. The local executor and the worker are
// thin layers over it, so a plan gives the same bits in-process and remotely.
//
// Memory is of three kinds, all off the Go heap: weights, shared by all
// sessions and stored by content; state, owned by a session and grown in place;
// scratch, one arena per run, laid out by liveness and reused.
package engine

import (
	"container/list"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

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
	device device.Device
	// pageRows is the number of positions in a page of carried state.
	pageRows    int
	addressable bool // this process can address the device's memory
	budget      *budget.Budget
	store       *store
	arenas      *arenas[device.Buffer]
	host        *arenas[[]byte] // for inputs that the engine is asked to receive

	possession atomic.Pointer[transport.PossessionKey] // see KeepTags

	mu       sync.Mutex
	closed   bool
	programs map[plan.Hash]*Program
	unused   list.List // programs that no session uses, the longest unused first
	sessions map[*Session]struct{}
	nextID   uint64

	unusedBytes int64         // of the programs that no session uses
	calls       atomic.Uint64 // begun: the clock that orders bindings by age

	profile  map[string]time.Duration // by label of a group, of dropped programs
	profiled map[*Program]struct{}    // programs that have a profile

	runs, ops, plansSeen, kernelNS, batches, batched atomic.Int64
}

// New starts an engine on a device that it opens.
func New(opts Options) (*Engine, error) {
	if opts.Device == nil {
		return nil, fmt.Errorf("%w: an engine without a device", transport.ErrInternal)
	}
	if opts.Threads <= 0 {
		opts.Threads = runtime.GOMAXPROCS(0)
	}
	if opts.MaxBatch <= 0 {
		opts.MaxBatch = DefaultMaxBatch
	}
	if opts.MaxScratch <= 0 {
		opts.MaxScratch = 16 << 30
	}
	if opts.MaxPlans <= 0 {
		opts.MaxPlans = MaxIdlePlans
	}
	if opts.MaxPlanBytes <= 0 {
		opts.MaxPlanBytes = MaxIdlePlanBytes
		if opts.MemLimit > 0 {
			opts.MaxPlanBytes = min(opts.MaxPlanBytes, opts.MemLimit/4)
		}
	}
	var seed [8]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("genie: engine epoch: %w", err)
	}
	total := budget.New(opts.MemLimit)
	e := &Engine{
		opts: opts, epoch: binary.LittleEndian.Uint64(seed[:]) | 1,
		budget: total, store: newStore(total),
		programs: map[plan.Hash]*Program{}, sessions: map[*Session]struct{}{},
	}
	d, err := opts.Device(device.Options{
		Threads: opts.Threads, Int8Weights: opts.Int8Weights, Budget: total, Reference: opts.plain, Fault: e.fault,
	})
	if err != nil {
		return nil, err
	}
	e.device, e.arenas, e.host = d, scratchArenas(total, d), hostArenas(total)
	e.pageRows, e.addressable = d.Info().PageRows, d.Info().HostAddressable
	total.Register(budget.Spare, e.arenas)
	total.Register(budget.Spare, e.host)
	total.Register(budget.Derived, idleBindings{e})
	total.Register(budget.Derived, unusedPrograms{e})
	total.Register(budget.Unused, e.store)
	return e, nil
}

// Memory is the engine's memory budget. A worker's other memory is counted
// there, too.
func (e *Engine) Memory() *budget.Budget { return e.budget }

// Epoch is the random number of this incarnation of the engine's memory.
func (e *Engine) Epoch() uint64 { return e.epoch }

// Close closes all sessions, waits for their runs and frees everything.
func (e *Engine) Close() error {
	open, first := e.end()
	if !first {
		return nil
	}
	for _, s := range open {
		s.Close()
	}
	e.store.close()
	e.arenas.close()
	e.host.close()
	e.device.Close()
	unusedPrograms{e}.Reclaim(math.MaxInt64)
	return nil
}

// end prevents new sessions and returns the open ones; first is false after an
// earlier call.
func (e *Engine) end() (open []*Session, first bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false
	}
	e.closed = true
	for s := range e.sessions {
		open = append(open, s)
	}
	return open, true
}

// counted is the part of Stats that is under the engine's lock.
func (e *Engine) counted() transport.Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return transport.Stats{Sessions: int64(len(e.sessions)), Plans: int64(len(e.programs)), Kernels: e.kernels()}
}

// Stats reports what the engine has done and holds.
func (e *Engine) Stats() transport.Stats {
	st := e.counted()
	st.PID, st.CPU = os.Getpid(), e.device.Info().Path
	st.Runs, st.Ops, st.PlansSent = e.runs.Load(), e.ops.Load(), e.plansSeen.Load()
	st.Batches, st.BatchedRuns = e.batches.Load(), e.batched.Load()
	st.KernelTime = time.Duration(e.kernelNS.Load())
	weights, held := e.store.stats(), e.budget.Held()
	st.Weights, st.WeightsSent, st.WeightEvictions = weights.held, weights.received, weights.evicted
	st.WeightBytes, st.PackedBytes = held[budget.Weights]+held[budget.Packed], held[budget.Packed]
	st.StateBytes, st.RetainedBytes = held[budget.State], held[budget.Retained]
	st.ScratchBytes, st.StagingBytes = held[budget.Scratch], held[budget.Staging]
	st.PlanBytes, st.BufferBytes = held[budget.Plans], held[budget.Buffers]
	st.MemoryUsed, st.MemoryLimit = e.budget.Used(), e.budget.Limit()
	st.PeakRSS = memory.PeakRSS()
	return st
}
