package worker_test

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// TestMutatedPlans sends plans that are made up, half of them spoiled, and runs
// each with made-up bindings, payloads and handles: over real connections,
// alternating between TCP and gRPC. Every request is answered, none with an
// internal error, nothing panics, and a bystander continues to work.
// GENIE_PLANS is the number of plans (2000), GENIE_PLANS_SEED makes others.
func TestMutatedPlans(t *testing.T) {
	plans, seed := numberOf(t, "GENIE_PLANS", 2000), numberOf(t, "GENIE_PLANS_SEED", 1)
	if testing.Short() {
		plans = min(plans, 200)
	}
	w := workertest.StartEngine(t, engine.Options{Threads: 2, MemLimit: 64 << 20, MaxScratch: 8 << 20}, func(o *worker.Options) {
		o.MaxMessage = 1 << 20
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	})
	b := newBystander(t, w)
	m := &mutator{t: t, w: w, r: rand.New(rand.NewPCG(uint64(seed), 2)), counts: map[string]int{}, ops: map[string]int{}}
	for i := range plans {
		if i%200 == 0 {
			b.check()
			m.connect(i / 200)
			require.Zero(t, w.Server.Meter().Panics.Load())
		}
		m.plan(uint32(i%200) + 1)
	}
	b.check()
	t.Logf("%d plans: %v; steps that ran: %v", plans, m.counts, m.ops)
	require.Zero(t, w.Server.Meter().Panics.Load())
	require.Positive(t, m.counts["run: answered"])
	require.Positive(t, m.counts["loop: answered"])
	m.p.close()
	require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 1 }, 20*time.Second, time.Millisecond)
	require.Zero(t, w.Server.Load())
}

func numberOf(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// mutator is a client with nothing good in mind.
type mutator struct {
	t       *testing.T
	w       *workertest.Worker
	r       *rand.Rand
	p       *rawPeer
	counts  map[string]int
	ops     map[string]int // by operator: steps of runs that were answered
	kept    []*wirepb.Handle
	looping *plan.Plan
	encoded []byte // the plan
	now     string // for a failure: what is being tried
}

// connect reconnects, alternating between the transports.
func (m *mutator) connect(turn int) {
	if m.p != nil {
		m.p.close()
	}
	m.p, m.kept = newRawPeer(m.t, m.w, turn%2 == 1), nil
	m.ask("open", wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil)
	m.looping = repeatable(m.t)
	encoded, err := m.looping.Encode()
	require.NoError(m.t, err)
	h := plan.HashEncoded(encoded)
	require.True(m.t, m.ask("prepare", wire.TypePrepare, &wirepb.Prepare{
		Session: 1, Plan: loopPlan, Hash: h[:], PlanBytes: uint64(len(encoded)),
	}, encoded, nil))
}

// loopPlan is the number of a plan that may be repeated.
const loopPlan = 1000

// repeatable is a plan of tokens [a] that gives the same tokens.
func repeatable(t *testing.T) *plan.Plan {
	t.Helper()
	m := planmaker.New(nil)
	x := m.Input(plan.Spec{DType: plan.I32, Shape: plan.Shape{plan.Sym("a")}})
	f, ok := m.Apply("cast", plan.Attrs{plan.Int("to", int(plan.F32))}, x)
	require.True(t, ok)
	y, ok := m.Apply("cast", plan.Attrs{plan.Int("to", int(plan.I32))}, f)
	require.True(t, ok)
	p := m.Plan()
	p.Outputs = append(p.Outputs, plan.Output{Name: "tokens", Value: y, Place: plan.Download, Cause: plan.CauseToken})
	m.Assign()
	return p
}

// ask makes a request and verifies that its answer is one that a peer may get.
func (m *mutator) ask(what string, typ wire.Type, control proto.Message, payload []byte, answer proto.Message) bool {
	m.t.Helper()
	err := m.p.ask(typ, control, payload, answer)
	if err == nil {
		m.counts[what+": answered"]++
		return true
	}
	require.NotEqual(m.t, transport.Code(transport.ErrInternal), transport.Code(err), "%s: %v: %s", what, err, m.now)
	m.counts[what+": refused"]++
	return false
}

// plan prepares one plan and uses it.
func (m *mutator) plan(num uint32) {
	data := make([]byte, 20+m.r.IntN(220))
	for i := range data {
		data[i] = byte(m.r.Uint32())
	}
	maker := planmaker.Make
	if m.r.IntN(2) == 0 {
		maker = planmaker.MakeFitting
	}
	made, weights, _ := maker(data)
	encoded, err := made.Encode()
	if err != nil {
		return
	}
	if m.r.IntN(2) == 0 {
		encoded = planmaker.Mutate(m.r, encoded, 1+m.r.IntN(3))
	}
	m.now, m.encoded = fmt.Sprintf("plan %x", encoded), encoded
	h := plan.HashEncoded(encoded)
	var ready wirepb.Prepared
	if !m.ask("prepare", wire.TypePrepare, &wirepb.Prepare{
		Session: 1, Plan: num, Hash: h[:], PlanBytes: uint64(len(encoded)), DeadlineMs: 20_000,
	}, encoded, &ready) {
		return
	}
	p, err := plan.Decode(encoded)
	require.NoError(m.t, err, "what the worker took: %s", m.now)
	for _, id := range ready.GetMissing() {
		if x, ok := weights[p.Values[id].Hash]; ok {
			m.ask("weight", wire.TypePutWeight, &wirepb.PutWeight{Session: 1, Plan: num, Value: id, Bytes: uint64(len(x.Data))}, x.Data, nil)
		}
	}
	for range 3 {
		m.run(num, p)
	}
	if m.r.IntN(8) == 0 {
		m.ask("reset", wire.TypeReset, &wirepb.Reset{Session: 1}, nil, nil)
	}
	if m.r.IntN(4) == 0 {
		m.ask("read", wire.TypeRead, &wirepb.Read{Session: 1, Handle: m.handle()}, nil, nil)
	}
}

// handle is that of a retained value, or an invalid one.
func (m *mutator) handle() *wirepb.Handle {
	if len(m.kept) > 0 && m.r.IntN(3) > 0 {
		return m.kept[m.r.IntN(len(m.kept))]
	}
	return &wirepb.Handle{Session: m.r.Uint64(), Id: uint64(m.r.IntN(3)), Epoch: m.w.Engine.Epoch(), Generation: 1}
}

// bindings are small numbers, and now and then others; and not always as many as
// the plan has symbols.
func (m *mutator) bindings(n int) []uint64 {
	out := make([]uint64, n)
	nasty := m.r.IntN(3) == 0
	for i := range out {
		out[i] = uint64(m.r.IntN(6))
		if nasty && m.r.IntN(2) == 0 {
			out[i] = planmaker.Sizes[m.r.IntN(len(planmaker.Sizes))]
		}
	}
	if n > 0 && m.r.IntN(50) == 0 {
		return out[1:]
	}
	return out
}

// call is a run of a plan and its payload.
func (m *mutator) call(num uint32, p *plan.Plan) (*wirepb.Run, []byte) {
	l := &wire.Layout{Plan: p, Symbols: p.Symbols()}
	r := &wirepb.Run{Session: 1, Plan: num, Bindings: m.bindings(len(l.Symbols)), DeadlineMs: 20_000}
	if m.r.IntN(10) == 0 {
		r.Handles = append(r.Handles, &wirepb.InputHandle{Input: uint32(m.r.IntN(3)), Handle: m.handle()})
	}
	sizes, err := l.Bind(ints(r.GetBindings()))
	if err != nil {
		return r, nil
	}
	var payload []byte
	for i, n := range sizes.Inputs {
		if n > 1<<18 || len(r.GetHandles()) > 0 && r.GetHandles()[0].GetInput() == uint32(i) {
			continue // more than there is, or from the worker
		}
		payload = append(payload, m.content(p.Values[p.Inputs[i].Value].Spec.DType, int(n))...)
	}
	if m.r.IntN(50) == 0 {
		payload = append(payload, 1)
	}
	return r, payload
}

// content is n bytes of a type: small numbers, or any.
func (m *mutator) content(t plan.DType, n int) []byte {
	if m.r.IntN(4) > 0 {
		return planmaker.Elements(t, n/t.Size(), m.r.IntN(256))
	}
	out := make([]byte, 0, n+8)
	for len(out) < n {
		x := m.r.Uint64()
		if m.r.IntN(3) == 0 {
			x = uint64(math.Float32bits(float32(math.Inf(1)))) << 32
		}
		out = binary.LittleEndian.AppendUint64(out, x)
	}
	return out[:n]
}

func ints(u []uint64) []int {
	out := make([]int, len(u))
	for i, x := range u {
		out[i] = int(min(x, math.MaxInt))
	}
	return out
}

// run runs the plan once, or as a loop.
func (m *mutator) run(num uint32, p *plan.Plan) {
	loop := m.r.IntN(6) == 0
	if loop && m.r.IntN(2) == 0 {
		num, p = loopPlan, m.looping
	}
	r, payload := m.call(num, p)
	m.now = fmt.Sprintf("bindings %v of %v of plan %x", r.GetBindings(), p.Symbols(), m.encoded)
	if !loop {
		var ran wirepb.Ran
		if m.ask("run", wire.TypeRun, r, payload, &ran) {
			m.kept = append(m.kept, ran.GetRetained()...)
			for _, s := range p.Steps {
				m.ops[s.Op]++
			}
		}
		return
	}
	l := &wirepb.Loop{Run: r, Token: uint32(m.r.IntN(8) / 7), Credit: 64, Stop: []int32{1}}
	for range p.Inputs {
		l.Inputs = append(l.Inputs, &wirepb.LoopInput{Kind: uint32(m.r.IntN(5)), Max: int64(planmaker.Sizes[m.r.IntN(len(planmaker.Sizes))])})
	}
	for range r.GetBindings() {
		l.Grow = append(l.Grow, uint64(m.r.IntN(6)/5))
	}
	sequences := uint64(m.r.IntN(5))
	if len(r.GetBindings()) == 1 && r.GetBindings()[0] < 8 && m.r.IntN(4) > 0 {
		sequences = r.GetBindings()[0]
	}
	for range sequences {
		l.Limits = append(l.Limits, uint32(1+m.r.IntN(8)%7))
	}
	m.ask("loop", wire.TypeLoop, l, payload, nil)
}

// rawPeer speaks the protocol frame by frame over TCP or gRPC.
type rawPeer struct {
	t    *testing.T
	wc   *wire.Conn
	last uint64
	end  func()
}

func newRawPeer(t *testing.T, w *workertest.Worker, overGRPC bool) *rawPeer {
	t.Helper()
	p := &rawPeer{t: t, end: func() {}}
	if overGRPC {
		cc, err := grpc.NewClient("passthrough:///"+w.GRPC,
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDisableRetry(),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(grpcwire.Codec())))
		require.NoError(t, err)
		stream, err := cc.NewStream(t.Context(), grpcwire.StreamDesc(), grpcwire.Method)
		require.NoError(t, err)
		p.wc, p.end = wire.NewConn(grpcwire.New(stream, stream.CloseSend), nil), func() { _ = cc.Close() }
	} else {
		p.wc = newPeer(t, w).wc
	}
	t.Cleanup(p.close)
	require.NoError(t, p.ask(wire.TypeHello, &wirepb.Hello{Version: wire.Version}, nil, nil))
	return p
}

func (p *rawPeer) close() {
	_ = p.wc.Close()
	p.end()
}

// ask makes a request and reads its whole answer, of which it returns the
// control message.
func (p *rawPeer) ask(typ wire.Type, control proto.Message, payload []byte, answer proto.Message) error {
	p.t.Helper()
	stream := p.last
	if typ != wire.TypeHello {
		p.last++
		stream = p.last
	}
	late := time.AfterFunc(2*time.Minute, p.close) // no test waits for ever
	defer late.Stop()
	_, err := p.wc.Send(p.t.Context(), &wire.Message{Type: typ, Stream: stream, Control: control, Payload: []wire.Segment{{Data: payload}}})
	require.NoError(p.t, err)
	var failed error
	for {
		h, b, err := p.wc.Next()
		require.NoError(p.t, err, "%v was not answered", typ)
		require.Equal(p.t, stream, h.Stream)
		switch {
		case h.Type == wire.TypeError:
			var e wirepb.Error
			require.NoError(p.t, proto.Unmarshal(b, &e))
			failed = &transport.RemoteError{Code: e.GetCode(), Message: e.GetMessage()}
		case h.Type == typ && answer != nil:
			require.NoError(p.t, proto.Unmarshal(b, answer))
		}
		_, err = p.wc.ReadPayload(h, nil, plan.CauseControl)
		require.NoError(p.t, err)
		if !h.More() {
			return failed
		}
	}
}
