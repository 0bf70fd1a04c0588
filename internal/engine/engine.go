// Package engine runs plans on a device. The local executor and the worker are
// thin layers over it, so a plan gives the same bits in-process and remotely.
//
// Memory is of three kinds, all off the Go heap: weights, shared by all
// sessions and stored by content; state, owned by a session and grown in place;
// scratch, one arena per run, laid out by liveness and reused.
package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

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
		budget: total, host: hostArenas(total),
		programs: map[plan.Hash]*Program{}, sessions: map[*Session]struct{}{},
	}
	on := newIncarnation(e, nil)
	close(on.settled)
	if err := on.open(); err != nil {
		return nil, err
	}
	e.current.Store(on)
	e.life, e.end = context.WithCancel(context.Background())
	total.Register(budget.Spare, e.host)
	total.Register(budget.Derived, idleBindings{e})
	total.Register(budget.Derived, unusedPrograms{e})
	return e, nil
}

// Memory is the engine's memory budget. A worker's other memory is counted
// there, too.
func (e *Engine) Memory() *budget.Budget { return e.budget }

// Epoch is the random number of this incarnation of the engine's memory.
func (e *Engine) Epoch() uint64 { return e.epoch }

// Close closes all sessions, waits for their runs and frees everything.
func (e *Engine) Close() error {
	open, first := e.closes()
	if !first {
		return nil
	}
	e.end()
	for _, s := range open {
		s.Close()
	}
	e.renewing.Wait()
	for on := e.current.Load(); on != nil; on = on.before {
		on.quiet()
		on.close()
	}
	e.host.close()
	unusedPrograms{e}.Reclaim(math.MaxInt64)
	return nil
}

// closes prevents new sessions and returns the open ones; first is false after an
// earlier call.
func (e *Engine) closes() (open []*Session, first bool) {
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

// Held lists the content of the weights that the engine holds, each layout of one
// once. It changed only if Stats.WeightsSent or Stats.WeightEvictions did, or the
// device was opened anew.
func (e *Engine) Held() []plan.Hash { return e.current.Load().store.hashes() }

// Stats reports what the engine has done and holds.
func (e *Engine) Stats() transport.Stats {
	st := e.counted()
	st.PID, st.CPU = os.Getpid(), e.info.Load().Path
	st.Runs, st.Ops, st.PlansSent = e.runs.Load(), e.ops.Load(), e.plansSeen.Load()
	st.Batches, st.BatchedRuns = e.batches.Load(), e.batched.Load()
	st.References, st.ReferenceTime = e.slow.Total()
	st.KernelTime = time.Duration(e.kernelNS.Load())
	held := e.budget.Held()
	st.Weights, st.WeightsSent, st.WeightEvictions = e.current.Load().store.len(), e.weights.received.Load(), e.weights.evicted.Load()
	st.WeightBytes, st.PackedBytes = held[budget.Weights]+held[budget.Packed], held[budget.Packed]
	st.StateBytes, st.RetainedBytes = held[budget.State], held[budget.Retained]
	st.ScratchBytes, st.StagingBytes = held[budget.Scratch], held[budget.Staging]
	st.PlanBytes, st.BufferBytes = held[budget.Plans], held[budget.Buffers]
	st.MemoryUsed, st.MemoryLimit = e.budget.Used(), e.budget.Limit()
	st.PeakRSS = memory.PeakRSS()
	return st
}
