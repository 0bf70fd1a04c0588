package conformance

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func testBadCalls(f *fixture) {
	s := f.session()
	ref := f.prepare(s, plainAffine())
	good := data(plan.CauseActivation, floats(1, 1))
	f.fails(transport.ErrUnknownInput, s, ref, []int{1})
	f.fails(transport.ErrUnknownInput, s, ref, []int{1}, good, good)
	f.fails(transport.ErrShape, s, ref, nil, good)
	f.fails(transport.ErrShape, s, ref, []int{1, 1}, good)
	f.fails(transport.ErrShape, s, ref, []int{2}, good)
	f.fails(transport.ErrShape, s, ref, []int{-1}, good)
	f.fails(transport.ErrShape, s, ref, []int{1 << 50}, good)
	f.fails(transport.ErrUnknownPlan, s, nil, []int{1}, good)
	f.fails(transport.ErrUnknownPlan, f.session(), ref, []int{1}, good)

	b := newBuilder("lookup")
	ids := b.input("ids", i32(plan.C(2)))
	e := b.step("embedding", f32(plan.C(2), plan.C(1)), nil, b.weight("table", plan.F32, floats(1, 2, 3), 3, 1), ids)
	b.output("rows", e, plan.Download, plan.CauseActivation)
	lookup := f.prepare(s, b)
	f.fails(transport.ErrIndexRange, s, lookup, nil, data(plan.CauseToken, ints(0, 3)))
	f.fails(transport.ErrIndexRange, s, lookup, nil, data(plan.CauseToken, ints(-1, 0)))

	// The session is unharmed.
	res := f.run(s, ref, []int{1}, good)
	require.Equal(f, []float32{15, 27, 39}, toFloats(res.Outputs[0].Tensor.Data))
}

func testBadPlans(f *fixture) {
	s := f.session()
	for name, spoil := range map[string]func(b *builder){
		"unknown operator":  func(b *builder) { b.p.Steps[0].Op = "frobnicate" },
		"missing attribute": func(b *builder) { b.p.Steps[0].Attrs = nil },
		"unknown attribute": func(b *builder) { b.p.Steps[1].Attrs = plan.Attrs{plan.Int("colour", 3)} },
		"wrong shape":       func(b *builder) { b.p.Values[b.p.Steps[1].Out].Spec = f32(plan.Sym("rows"), plan.C(4)) },
		"version":           func(b *builder) { b.p.Version++ },
		"undefined value":   func(b *builder) { b.p.Steps[0].In[0] = 99 },
		"device":            func(b *builder) { b.p.Steps[0].Device = -1 },
		"another device":    func(b *builder) { b.p.Steps[1].Device = max(f.opts.Devices, 1) },
	} {
		b := plainAffine()
		spoil(b)
		_, err := s.Prepare(f.ctx, &b.p, b.weights, nil)
		require.ErrorIs(f, err, transport.ErrInvalidPlan, name)
	}
	f.run(s, f.prepare(s, plainAffine()), []int{1}, data(plan.CauseActivation, floats(1, 1)))
}

func testBadWeights(f *fixture) {
	s := f.session()
	b := affine(plan.F32, floats(1, 2, 3, 4, 5, 7))
	_, err := s.Prepare(f.ctx, &b.p, transport.Weights{}, nil)
	require.ErrorIs(f, err, transport.ErrMissingWeight)
	_, err = s.Prepare(f.ctx, &b.p, nil, nil)
	require.ErrorIs(f, err, transport.ErrMissingWeight)

	// Other content under the same hash must be noticed where it arrives.
	lying, short := transport.Weights{}, transport.Weights{}
	for h, w := range b.weights {
		w.Data = append([]byte(nil), w.Data...)
		w.Data[0] ^= 1
		lying[h] = w
		w.Data = w.Data[:len(w.Data)-4]
		short[h] = w
	}
	_, err = s.Prepare(f.ctx, &b.p, lying, nil)
	require.ErrorIs(f, err, transport.ErrCorrupt)
	_, err = s.Prepare(f.ctx, &b.p, short, nil)
	require.ErrorIs(f, err, transport.ErrShape)

	res := f.run(s, f.prepare(s, b), []int{1}, data(plan.CauseActivation, floats(1, 1)))
	require.Equal(f, []float32{15, 27, 40}, toFloats(res.Outputs[0].Tensor.Data))
}

func testClosed(f *fixture) {
	s, other := f.session(), f.session()
	b := plainAffine()
	ref, otherRef := f.prepare(s, b), f.prepare(other, b)
	in := data(plan.CauseActivation, floats(1, 1))
	require.NoError(f, s.Close())
	require.NoError(f, s.Close())
	f.fails(transport.ErrClosed, s, ref, []int{1}, in)
	_, err := s.Prepare(f.ctx, &b.p, b.weights, nil)
	require.ErrorIs(f, err, transport.ErrClosed)
	require.ErrorIs(f, s.Reset(f.ctx), transport.ErrClosed)
	_, err = s.Read(f.ctx, transport.Handle{Session: 1, ID: 1})
	require.ErrorIs(f, err, transport.ErrStaleHandle)
	f.run(other, otherRef, []int{1}, in)

	f.checkLedger(f.ex)
	require.NoError(f, f.ex.Close())
	require.NoError(f, f.ex.Close())
	f.fails(transport.ErrClosed, other, otherRef, []int{1}, in)
	_, err = f.ex.NewSession(f.ctx)
	require.ErrorIs(f, err, transport.ErrClosed)
	require.NoError(f, other.Close())
}

// slow is a plan that takes seconds and grows a cache by a row, and the row.
func (f *fixture) slow() (*builder, transport.Input) {
	const steps = 4000
	width := 256
	if f.opts.Slow {
		width = 64
	}
	b := newBuilder("slow")
	past := plan.Sym("past")
	x := b.input("x", f32(plan.C(1), plan.C(width)))
	kv := b.cache("kv", x, f32(past.Add(plan.C(1)), plan.C(width)), past)
	w := b.weight("w", plan.F32, make([]byte, 4*width*width), width, width)
	m := b.step("add", f32(plan.C(width), plan.C(width)), nil, w, w)
	spec := b.p.Values[m].Spec
	for i := range steps {
		m = b.step("matmul", spec, matmul(false), m, w)
		b.p.Values[m].Buffer = i % 2 // two buffers are enough for a chain
	}
	b.p.Values[b.p.Steps[1].Out].Buffer = 2
	b.p.Buffers = 3
	b.output("kv", b.step("reduce", f32(plan.C(width)), plan.Attrs{
		plan.Ints("axes", []int{0}), plan.BoolAttr("keep", false), plan.Str("kind", "sum"),
	}, kv), plan.Download, plan.CauseKV)
	b.p.Values[b.p.Outputs[0].Value].Buffer = 2
	b.output("m", m, plan.Download, plan.CauseActivation)
	return b, data(plan.CauseActivation, make([]byte, 4*width))
}

func testCancelledBefore(f *fixture) {
	s := f.session()
	b := plainAffine()
	ref := f.prepare(s, b)
	cause := errors.New("no longer wanted")
	ctx, cancel := context.WithCancelCause(f.ctx)
	cancel(cause)
	in := []transport.Input{data(plan.CauseActivation, floats(1, 1))}
	_, err := s.Run(ctx, transport.Call{Plan: ref, Bindings: []int{1}, Inputs: in})
	require.ErrorIs(f, err, context.Canceled)
	require.ErrorIs(f, err, cause)
	_, err = s.Prepare(ctx, &affine(plan.F32, floats(9, 9, 9, 9, 9, 9)).p, b.weights, nil)
	require.ErrorIs(f, err, context.Canceled)
	_, err = f.ex.NewSession(ctx)
	require.ErrorIs(f, err, context.Canceled)
	f.run(s, ref, []int{1}, in...)
}

func testCancelledDuring(f *fixture) {
	s, other := f.session(), f.session()
	b, x := f.slow()
	ref := f.prepare(s, b)
	affineRef := f.prepare(other, plainAffine())
	before := f.stats()
	cause := errors.New("no longer wanted")
	ctx, cancel := context.WithCancelCause(f.ctx)
	failed := make(chan error, 1)
	go func() {
		_, err := s.Run(ctx, transport.Call{Plan: ref, Bindings: []int{0}, Inputs: []transport.Input{x}})
		failed <- err
	}()
	// Another session works while this one is busy.
	for range 5 {
		f.run(other, affineRef, []int{1}, data(plan.CauseActivation, floats(1, 1)))
	}
	start := time.Now()
	cancel(cause)
	err := <-failed
	require.ErrorIs(f, err, context.Canceled)
	require.ErrorIs(f, err, cause)
	require.Less(f, time.Since(start), 2*time.Second)

	// The run stopped where it was, and the state has its value from before.
	f.fails(transport.ErrState, s, ref, []int{1}, x)
	require.Less(f, f.stats().Ops-before.Ops, int64(4000))
}

func testDeadline(f *fixture) {
	s := f.session()
	b, x := f.slow()
	ref := f.prepare(s, b)
	ctx, cancel := context.WithTimeout(f.ctx, 20*time.Millisecond)
	defer cancel()
	_, err := s.Run(ctx, transport.Call{Plan: ref, Bindings: []int{0}, Inputs: []transport.Input{x}})
	require.ErrorIs(f, err, context.DeadlineExceeded)
	require.NoError(f, s.Close())
}

func (f *fixture) stats() transport.Stats {
	f.Helper()
	st, err := f.ex.Stats(f.ctx)
	require.NoError(f, err)
	return st
}
