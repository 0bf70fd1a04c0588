package worker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// planted is a real engine that panics in one of its methods, once.
type planted struct {
	worker.Engine
	at    string
	armed atomic.Bool
}

func (p *planted) here(at string) {
	if at == p.at && p.armed.CompareAndSwap(true, false) {
		panic("planted in " + at)
	}
}

func (p *planted) Program(h plan.Hash) (worker.Program, bool) {
	p.here("Program")
	return p.Engine.Program(h)
}

func (p *planted) Compile(ctx context.Context, x *plan.Plan, h plan.Hash, pause func(ctx context.Context) error) (worker.Program, error) {
	p.here("Compile")
	return p.Engine.Compile(ctx, x, h, pause)
}

func (p *planted) Missing(x worker.Program) []int {
	p.here("Missing")
	return p.Engine.Missing(x)
}

func (p *planted) Fits(x worker.Program, absent func(plan.Hash) bool) error {
	p.here("Fits")
	return p.Engine.Fits(x, absent)
}

func (p *planted) WeightForm(x worker.Program, v plan.Value) (engine.WeightKey, error) {
	p.here("WeightForm")
	return p.Engine.WeightForm(x, v)
}

func (p *planted) WeightMemory(x worker.Program, v plan.Value) (int64, error) {
	p.here("WeightMemory")
	return p.Engine.WeightMemory(x, v)
}

func (p *planted) PutWeight(x worker.Program, v plan.Value) (worker.WeightWriter, error) {
	p.here("PutWeight")
	w, err := p.Engine.PutWeight(x, v)
	return plantedWriter{w, p}, err
}

func (p *planted) PossessionTag(x worker.Program, id int) *transport.PossessionTag {
	p.here("PossessionTag")
	return p.Engine.PossessionTag(x, id)
}

func (p *planted) NewSession() worker.Session {
	p.here("NewSession")
	return plantedSession{p.Engine.NewSession(), p}
}

type plantedWriter struct {
	worker.WeightWriter
	p *planted
}

func (w plantedWriter) Write(b []byte) (int, error) {
	w.p.here("Write")
	return w.WeightWriter.Write(b)
}

func (w plantedWriter) Commit() error {
	w.p.here("Commit")
	return w.WeightWriter.Commit()
}

type plantedSession struct {
	worker.Session
	p *planted
}

func (s plantedSession) Use(x worker.Program) error {
	s.p.here("Use")
	return s.Session.Use(x)
}

func (s plantedSession) NewCall(ctx context.Context, x worker.Program, bindings []int) (worker.Call, error) {
	s.p.here("NewCall")
	c, err := s.Session.NewCall(ctx, x, bindings)
	return plantedCall{c, s.p}, err
}

func (s plantedSession) Read(h transport.Handle) (transport.Tensor, error) {
	s.p.here("Read")
	return s.Session.Read(h)
}

func (s plantedSession) Reset() {
	s.p.here("Reset")
	s.Session.Reset()
}

func (s plantedSession) Close() {
	defer s.Session.Close()
	s.p.here("Close")
}

func (s plantedSession) Release(h ...transport.Handle) {
	s.p.here("Release of values")
	s.Session.Release(h...)
}

type plantedCall struct {
	worker.Call
	p *planted
}

func (c plantedCall) SetInput(i int, data []byte) error {
	c.p.here("SetInput")
	return c.Call.SetInput(i, data)
}

func (c plantedCall) RunInTurns(ctx context.Context, turn engine.Turn) error {
	return c.Call.RunInTurns(ctx, func(ctx context.Context, batched bool, run func(ctx context.Context) error) error {
		return turn(ctx, batched, func(ctx context.Context) error {
			c.p.here("Run")
			return run(ctx)
		})
	})
}

func (c plantedCall) Output(i int) (transport.Tensor, transport.Handle) {
	c.p.here("Output")
	return c.Call.Output(i)
}

func (c plantedCall) Elapsed() time.Duration {
	c.p.here("Elapsed")
	return c.Call.Elapsed()
}

func (c plantedCall) Release() {
	defer c.Call.Release()
	c.p.here("Release")
}

// plantedAt are the places, and what a client does that comes there.
var plantedAt = []string{
	"NewSession", "Program", "Compile", "Use", "Fits", "Missing", "WeightForm", "WeightMemory", "PutWeight", "Write", "Commit",
	"NewCall", "SetInput", "Run", "Output", "Elapsed", "Release", "Read", "Reset", "Release of values", "Close",
}

// TestPlantedPanics makes each method of the engine panic in the request of a
// client. At most that client gets an error. Its quota, the worker's memory and
// its queues are unchanged, another client of its identity can do the same at
// once, a bystander notices nothing, and the worker ends in time.
func TestPlantedPanics(t *testing.T) {
	for _, at := range plantedAt {
		for how := range dialers {
			t.Run(at+"/"+how, func(t *testing.T) {
				p := &planted{at: at}
				w := workertest.StartEngine(t, engine.Options{Threads: 1, MemLimit: 1 << 30}, func(o *worker.Options) {
					p.Engine, o.Engine, o.Lease = o.Engine, p, time.Minute
					o.Quota = func(string) worker.Quota { return worker.Quota{Sessions: 2, Plans: 3, Calls: 2, Bytes: 3 << 20} }
				})
				b := newBystander(t, w)
				b.check()
				p.armed.Store(true)
				err := bitOfEverything(t, w, how, 1)
				if at != "Close" && at != "Release" && at != "Release of values" { // which has no waiting caller
					require.ErrorIs(t, err, transport.ErrInternal)
				}
				require.Eventually(t, func() bool { return !p.armed.Load() }, 10*time.Second, time.Millisecond, "nothing came there")
				b.check()
				for i := range 3 { // more than the quota in all
					require.NoError(t, bitOfEverything(t, w, how, float32(2+i)))
				}
				b.check()
				require.Positive(t, w.Server.Meter().Panics.Load())
				require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 1 }, 10*time.Second, time.Millisecond)
				require.Zero(t, w.Server.Load())

				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				require.NoError(t, w.Server.Shutdown(ctx))
				require.NoError(t, w.Close())
				require.Zero(t, w.Server.Staged())
				require.Zero(t, w.Engine.Stats().StateBytes)
				require.Zero(t, w.Engine.Stats().RetainedBytes)
				require.Zero(t, w.Engine.Stats().StagingBytes)
				require.Zero(t, w.Engine.Stats().BufferBytes)
			})
		}
	}
}

// bitOfEverything is a client that does a bit of everything with a new plan and
// a new weight.
func bitOfEverything(t *testing.T, w *workertest.Worker, how string, x float32) error {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ex, err := dialers[how](ctx, w, nil)
	if err != nil {
		return err
	}
	defer func() { _ = ex.Close() }()
	s, err := ex.NewSession(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	p, weights := counterOf(100+x, 200)
	ref, err := s.Prepare(ctx, p, weights, nil)
	if err != nil {
		return err
	}
	res, err := s.Run(ctx, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 0)}}})
	if err != nil {
		return err
	}
	require.Equal(t, floats(100+x, 200), res.Outputs[0].Tensor.Data)
	if _, err := s.Read(ctx, res.Outputs[1].Handle); err != nil {
		return err
	}
	if err := s.Release(ctx, res.Outputs[1].Handle); err != nil {
		return err
	}
	return s.Reset(ctx)
}

// TestPanicLeavesNoClaim verifies that after a Prepare that panics with claims,
// others can send the weights at once, and that its session stays usable.
func TestPanicLeavesNoClaim(t *testing.T) {
	p := &planted{at: "Fits"}
	w := workertest.Start(t, func(o *worker.Options) { p.Engine, o.Engine = o.Engine, p })
	c := identified(t, w, "")
	pl, _ := counter()
	h := pl.Hash()
	encoded, err := pl.Encode()
	require.NoError(t, err)
	p.armed.Store(true)
	m := &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:], PlanBytes: uint64(len(encoded))}
	require.ErrorIs(t, c.ask(wire.TypePrepare, m, encoded, nil), transport.ErrInternal)
	require.Zero(t, w.Server.Claims())
	require.Equal(t, []uint32{1}, c.prepare(pl, true, "").GetMissing())
	require.Equal(t, 1, w.Server.Claims())
}

// TestPanicInAProof verifies that a proof that panics opens nothing, and that
// the session's next one does.
func TestPanicInAProof(t *testing.T) {
	p := &planted{at: "PossessionTag"}
	w, alice, bob := guarded(t, func(o *worker.Options) { p.Engine, o.Engine = o.Engine, p })
	owner := identified(t, w, alice)
	owner.plan()
	owner.works()
	other := identified(t, w, bob)
	pl, weights := counter()
	ready := other.prepare(pl, true, "")
	require.Equal(t, []uint32{1}, ready.GetMissing())
	p.armed.Store(true)
	proof := make([]byte, len(transport.PossessionProof{}))
	m := &wirepb.Prove{Session: 1, Plan: 1, Values: []uint32{1}, Bytes: uint64(len(proof))}
	require.ErrorIs(t, other.ask(wire.TypeProve, m, proof, nil), transport.ErrInternal)
	require.Equal(t, []uint32{1}, other.prepare(pl, false, "").GetMissing())
	require.Empty(t, other.prove(ready, weights[pl.Values[1].Hash].Data).GetMissing())
	other.works()
}
