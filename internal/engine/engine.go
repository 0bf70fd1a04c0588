// Package engine runs plans on this machine's CPU. The local executor and the
// worker are thin covers of it, so a plan gives the same bits in-process and
// remotely.
//
// Memory is of three kinds, all off the Go heap: weights, shared by all
// sessions and kept by content; state, owned by a session and grown in place;
// scratch, one arena per run, laid out by liveness and reused.
package engine

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Options configure an engine. The zero value is ready to use.
type Options struct {
	// Threads is the number of goroutines that compute, GOMAXPROCS when 0.
	Threads int
	// MaxScratch bounds the scratch, input and state memory of one run, in
	// bytes; 16 GiB when 0.
	MaxScratch int64
	// MaxPlans bounds the number of compiled plans held; 1024 when 0. The
	// oldest goes when another comes.
	MaxPlans int
	// Profile measures the time inside kernels, see [Call.KernelTime].
	Profile bool
	// Int8Weights rounds the matrices that products read to 8 bits, with a
	// scale for each output: an element changes by at most 1/254 of the
	// largest one of its output's. It is the only option that changes numbers.
	Int8Weights bool
	// Branches runs two parts of a plan that read nothing of each other at one
	// time, each on a thread. The bits are the same either way.
	Branches bool
	// MaxBatch is the number of sequences of different sessions that run
	// together, see [Call.Run]; [DefaultMaxBatch] when 0, and 1 for none. The
	// bits are the same either way.
	MaxBatch int

	// For tests: steps run by themselves, and by their references.
	separate, plain bool
}

// Engine holds compiled plans, weights and threads. It is safe for concurrent
// use.
type Engine struct {
	opts   Options
	epoch  uint64
	pool   *pool
	store  *store
	arenas arenas
	work   arenas // scratch of chunks

	stateMem memory.Slabs

	mu       sync.Mutex
	closed   bool
	programs map[plan.Hash]*Program
	order    []plan.Hash // programs, oldest first
	sessions map[*Session]struct{}
	nextID   uint64

	profile map[string]time.Duration // by label of a group

	runs, ops, plansSeen, stateBytes, kernelNS, rounds, joined atomic.Int64
}

// New starts an engine. An unusable GENIE_CPU is an error.
func New(opts Options) (*Engine, error) {
	if err := kernels.PathErr(); err != nil {
		return nil, err
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
		opts.MaxPlans = 1024
	}
	var seed [8]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("genie: engine epoch: %w", err)
	}
	return &Engine{
		opts: opts, epoch: binary.LittleEndian.Uint64(seed[:]) | 1,
		pool: newPool(opts.Threads), store: newStore(),
		programs: map[plan.Hash]*Program{}, sessions: map[*Session]struct{}{},
	}, nil
}

// Epoch is the random number of this incarnation of the engine's memory.
func (e *Engine) Epoch() uint64 { return e.epoch }

// Close closes all sessions, waits for their runs and frees everything.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	var open []*Session
	for s := range e.sessions {
		open = append(open, s)
	}
	e.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
	e.pool.close()
	e.store.close()
	e.arenas.close()
	e.work.close()
	e.stateMem.Close()
	return nil
}

// Stats is what the engine has done and holds.
func (e *Engine) Stats() transport.Stats {
	e.mu.Lock()
	st := transport.Stats{Sessions: int64(len(e.sessions)), Plans: int64(len(e.programs))}
	e.mu.Unlock()
	st.PID, st.CPU = os.Getpid(), kernels.Path()
	st.Runs, st.Ops, st.PlansSent = e.runs.Load(), e.ops.Load(), e.plansSeen.Load()
	st.Rounds, st.JoinedRuns = e.rounds.Load(), e.joined.Load()
	e.mu.Lock()
	st.Kernels = maps.Clone(e.profile)
	e.mu.Unlock()
	st.KernelTime = time.Duration(e.kernelNS.Load())
	st.StateBytes, st.ScratchBytes = e.stateBytes.Load(), e.arenas.bytes.Load()+e.work.bytes.Load()
	st.Weights, st.WeightBytes, st.WeightsSent = e.store.stats()
	st.PeakRSS = memory.PeakRSS()
	return st
}

// Program finds a compiled plan by content hash.
func (e *Engine) Program(h plan.Hash) (*Program, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.programs[h]
	return p, ok
}

// Compile validates p, checks its operators and prepares it to run. Plans are
// held by content hash. Errors wrap [transport.ErrInvalidPlan].
func (e *Engine) Compile(p *plan.Plan) (*Program, error) {
	encoded, err := p.Encode()
	if err != nil {
		return nil, err
	}
	h := plan.HashEncoded(encoded)
	if prog, ok := e.Program(h); ok {
		return prog, nil
	}
	prog, err := compile(p, e.opts)
	if err != nil {
		return nil, err
	}
	prog.hash = h
	e.plansSeen.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if other, ok := e.programs[h]; ok {
		return other, nil
	}
	if len(e.order) >= e.opts.MaxPlans {
		delete(e.programs, e.order[0])
		e.order = e.order[1:]
	}
	e.programs[h] = prog
	e.order = append(e.order, h)
	return prog, nil
}
