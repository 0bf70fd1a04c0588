package conformance

import (
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// testReuse prepares the same plan for a second client: nothing is uploaded.
func testReuse(f *fixture) {
	first, second := f.ex, f.ex
	if f.opts.Pair != nil {
		first, second = f.opts.Pair(f.T)
		defer func() {
			f.checkLedger(first)
			f.checkLedger(second)
			require.NoError(f, first.Close())
			require.NoError(f, second.Close())
		}()
	}
	b := plainAffine()
	prepare := func(ex transport.Executor, w transport.WeightSource) (transport.Session, transport.PlanRef) {
		s, err := ex.NewSession(f.ctx)
		require.NoError(f, err)
		ref, err := s.Prepare(f.ctx, &b.p, w, nil)
		require.NoError(f, err)
		return s, ref
	}
	prepare(first, b.weights)
	before, err := first.Stats(f.ctx)
	require.NoError(f, err)
	ledger := second.Ledger().Snapshot()
	s, ref := prepare(second, b.weights)
	sent := second.Ledger().Snapshot().Sub(ledger).Sent
	require.Zero(f, sent[plan.CauseWeights])
	require.Zero(f, sent[plan.CausePlan])
	after, err := second.Stats(f.ctx)
	require.NoError(f, err)
	require.Equal(f, before.WeightsSent, after.WeightsSent)
	require.Equal(f, before.PlansSent, after.PlansSent)
	require.Equal(f, before.Weights, after.Weights)
	f.run(s, ref, []int{1}, data(plan.CauseActivation, floats(1, 1)))
}

// testLedger checks every cause against what was sent for it.
func testLedger(f *fixture) {
	start := f.ex.Ledger().Snapshot()
	s := f.session()
	b := newBuilder("causes")
	n := plan.C(4)
	x, y := b.input("x", f32(n)), b.input("y", f32(n))
	w := b.weight("w", plan.F32, floats(1, 2, 3, 4), 4)
	b.output("a", b.step("add", f32(n), nil, x, w), plan.Download, plan.CauseLogits)
	b.output("b", b.step("add", f32(n), nil, y, w), plan.Retain, plan.CauseKV)
	ref := f.prepare(s, b)
	call := []transport.Input{data(plan.CauseToken, floats(1, 1, 1, 1)), data(plan.CauseActivation, floats(2, 2, 2, 2))}
	res := f.run(s, ref, nil, call...)
	_, err := s.Read(f.ctx, res.Outputs[1].Handle)
	require.NoError(f, err)
	if f.opts.Divided {
		return
	}
	if !f.opts.Remote {
		require.Equal(f, start, f.ex.Ledger().Snapshot())
		return
	}
	encoded, err := b.p.Encode()
	require.NoError(f, err)
	got := f.ex.Ledger().Snapshot().Sub(start)
	require.EqualValues(f, 16, got.Sent[plan.CauseWeights])
	require.EqualValues(f, len(encoded), got.Sent[plan.CausePlan])
	require.EqualValues(f, 16, got.Sent[plan.CauseToken])
	require.EqualValues(f, 16, got.Sent[plan.CauseActivation])
	require.EqualValues(f, 16, got.Received[plan.CauseLogits])
	require.EqualValues(f, 16, got.Received[plan.CauseKV])
	require.Positive(f, got.Sent[plan.CauseControl])
	// A session, a plan by name, the plan, a weight, a run, a value.
	trips := 6
	if f.opts.Proofs {
		trips++
	}
	require.EqualValues(f, trips, got.RoundTrips)

	before := f.ex.Ledger().Snapshot()
	f.run(s, ref, nil, call...)
	require.EqualValues(f, 1, f.ex.Ledger().Snapshot().Sub(before).RoundTrips)
}

func testStats(f *fixture) {
	before := f.stats()
	require.Positive(f, before.PID)
	require.NotEmpty(f, before.CPU)
	s := f.session()
	ref := f.prepare(s, plainAffine())
	for range 3 {
		f.run(s, ref, []int{1}, data(plan.CauseActivation, floats(1, 1)))
	}
	after := f.stats()
	require.EqualValues(f, 3, after.Runs-before.Runs)
	require.EqualValues(f, 6, after.Ops-before.Ops)
	require.EqualValues(f, 1, after.Sessions-before.Sessions)
	require.EqualValues(f, 2, after.Weights)
	require.NoError(f, s.Close())
	require.Equal(f, before.Sessions, f.stats().Sessions)
}

// maxStepBytes bounds the bytes that a decode step may send and receive in
// total.
const maxStepBytes = 160

// testStepBytes has the shape of a decode step: three bindings, seven small
// inputs, a growing cache, one token back.
func testStepBytes(f *fixture) {
	b := newBuilder("step")
	batch, past, seq := plan.Sym("batch"), plan.Sym("past"), plan.Sym("seq")
	ids := b.input("ids", i32(batch, seq))
	b.input("positions", i32(batch, seq))
	b.input("lengths", plan.Spec{DType: plan.I64, Shape: plan.Shape{batch}})
	b.input("temperature", f32(batch))
	b.input("top_k", i32(batch))
	b.input("top_p", f32(batch))
	b.input("seed", plan.Spec{DType: plan.I64, Shape: plan.Shape{batch, plan.C(2)}})
	rows := b.step("cast", f32(batch, seq), plan.Attrs{plan.Int("to", int(plan.F32))}, ids)
	kv := b.cache("kv", rows, f32(past.Add(batch), seq), past)
	sum := b.step("reduce", f32(seq), plan.Attrs{
		plan.Ints("axes", []int{0}), plan.BoolAttr("keep", false), plan.Str("kind", "sum"),
	}, kv)
	b.output("token", b.step("argmax", i32(), plan.Attrs{plan.Int("axis", 0)}, sum), plan.Download, plan.CauseToken)
	s := f.session()
	ref := f.prepare(s, b)
	var in []transport.Input
	total := 0
	for _, n := range []int{4, 4, 8, 4, 4, 4, 16} {
		in = append(in, data(plan.CauseToken, make([]byte, n)))
		total += n
	}
	const steps = 300
	start := f.ex.Ledger().Snapshot()
	for past := range steps {
		sizes := map[string]int{"batch": 1, "past": past, "seq": 1}
		var bindings []int
		for _, name := range b.p.Symbols() {
			bindings = append(bindings, sizes[name])
		}
		f.run(s, ref, bindings, in...)
	}
	if !f.exact() {
		return
	}
	f.checkLedger(f.ex)
	got := f.ex.Ledger().Snapshot().Sub(start)
	f.Logf("a step sends %.1f bytes and receives %.1f", float64(got.SocketSent)/steps, float64(got.SocketReceived)/steps)
	require.LessOrEqual(f, got.SocketSent, int64(maxStepBytes*steps))
	require.LessOrEqual(f, got.SocketReceived, int64(maxStepBytes*steps))
	require.EqualValues(f, steps, got.RoundTrips)
	require.EqualValues(f, total*steps, got.Sent[plan.CauseToken])
	require.EqualValues(f, 4*steps, got.Received[plan.CauseToken])
}
