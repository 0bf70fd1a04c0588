package worker_test

import (
	"context"
	"encoding/binary"
	"math"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

func TestMain(m *testing.M) {
	if playRole() {
		return
	}
	benchname.Declare(os.Stdout, "p50-ns better=lower", "p99-ns better=lower",
		"greedy-run-ns/op better=lower", "run-ns/op better=lower", "wait-ns/op better=lower")
	goleak.VerifyTestMain(m)
}

type dialConn = func(ctx context.Context, addr string) (net.Conn, error)

// dialers are the ways to a worker; dial may be nil.
var dialers = map[string]func(ctx context.Context, w *workertest.Worker, dial dialConn) (transport.Executor, error){
	"tcp": func(ctx context.Context, w *workertest.Worker, dial dialConn) (transport.Executor, error) {
		if dial == nil {
			return tcp.Dial(ctx, w.TCP)
		}
		return tcp.Dial(ctx, w.TCP, tcp.WithDialer(dial))
	},
	"grpc": func(ctx context.Context, w *workertest.Worker, dial dialConn) (transport.Executor, error) {
		if dial == nil {
			return rpc.Dial(ctx, w.GRPC)
		}
		return rpc.Dial(ctx, w.GRPC, rpc.WithDialer(dial))
	},
}

func floats(v ...float32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// counter is a plan with a weight and carried state: sum += w + x. Its output
// "kept" stays on the worker.
func counter() (*plan.Plan, transport.Weights) { return counterOf(100, 200) }

// counterOf is counter with a weight of other content.
func counterOf(first, second float32) (*plan.Plan, transport.Weights) {
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(2)}}
	w := floats(first, second)
	h := transport.HashWeight(plan.F32, []int{2}, w)
	p := &plan.Plan{
		Version: plan.Version, Name: "counter", Buffers: 2,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindWeight, Name: "w", Spec: spec, Buffer: plan.NoBuffer, Hash: h, Storage: plan.F32},
			{Kind: plan.KindState, Name: "sum", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "xw", Spec: spec, Buffer: 0},
			{Kind: plan.KindTemp, Name: "next", Spec: spec, Buffer: 1},
		},
		Steps:  []plan.Step{{Op: "add", In: []int{0, 1}, Out: 3}, {Op: "add", In: []int{2, 3}, Out: 4}},
		Inputs: []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{
			{Name: "sum", Value: 4, Place: plan.Download, Cause: plan.CauseActivation},
			{Name: "kept", Value: 3, Place: plan.Retain, Cause: plan.CauseActivation},
		},
		States: []plan.State{{Name: "sum", Mode: plan.StateReplace, In: 2, Out: 4}},
	}
	return p, transport.Weights{h: {Name: "w", Hash: h, Storage: plan.F32, Shape: []int{2}, Data: w}}
}

// bystander is a session of another client, which must notice nothing.
type bystander struct {
	t    *testing.T
	s    transport.Session
	call transport.Call
	n    float32
}

func newBystander(t *testing.T, w *workertest.Worker) *bystander {
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ex.Close() })
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	return &bystander{t: t, s: s, call: transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 1)}}}}
}

// check runs once more and holds the carried sum against what it must be.
func (b *bystander) check() {
	b.t.Helper()
	res, err := b.s.Run(b.t.Context(), b.call)
	require.NoError(b.t, err)
	b.n++
	require.Equal(b.t, floats(100*b.n, 201*b.n), res.Outputs[0].Tensor.Data)
}

// peer speaks the protocol frame by frame, and incorrectly where a test
// requires it.
type peer struct {
	t    *testing.T
	conn net.Conn
	wc   *wire.Conn
	last uint64
}

// newPeer connects without a word.
func newPeer(t *testing.T, w *workertest.Worker) *peer {
	nc, err := net.Dial("tcp", w.TCP)
	require.NoError(t, err)
	c := &spoiler{Conn: nc}
	p := &peer{t: t, conn: c, wc: wire.NewConn(wire.NewTCP(c, nil), nil)}
	t.Cleanup(func() { _ = p.wc.Close() })
	return p
}

// spoiler flips a bit of the last byte of the next write.
type spoiler struct {
	net.Conn
	next bool
}

func (c *spoiler) Write(b []byte) (int, error) {
	if c.next {
		b, c.next = flip(append([]byte(nil), b...), len(b)-1), false
	}
	return c.Conn.Write(b)
}

// greeted is a peer that has said hello.
func greeted(t *testing.T, w *workertest.Worker) *peer {
	p := newPeer(t, w)
	p.send(&wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version}})
	h, _ := p.next()
	require.Equal(t, wire.TypeHello, h.Type)
	return p
}

func (p *peer) send(m *wire.Message) {
	p.t.Helper()
	_, err := p.wc.Send(p.t.Context(), m)
	require.NoError(p.t, err)
}

// next takes a frame and drops its payload.
func (p *peer) next() (wire.Header, []byte) {
	p.t.Helper()
	h, control, err := p.wc.Next()
	require.NoError(p.t, err)
	control = append([]byte(nil), control...)
	_, err = p.wc.ReadPayload(h, nil, 0)
	require.NoError(p.t, err)
	return h, control
}

// ask sends a request and takes its answer, which must be of the same stream.
func (p *peer) ask(typ wire.Type, control proto.Message, payload []byte, answer proto.Message) error {
	p.t.Helper()
	p.last++
	p.send(&wire.Message{Type: typ, Stream: p.last, Control: control, Payload: []wire.Segment{{Data: payload}}})
	return p.answer(p.last, typ, answer)
}

func (p *peer) answer(stream uint64, typ wire.Type, answer proto.Message) error {
	p.t.Helper()
	h, b := p.next()
	require.Equal(p.t, stream, h.Stream)
	if h.Type == wire.TypeError {
		var e wirepb.Error
		require.NoError(p.t, proto.Unmarshal(b, &e))
		return &transport.RemoteError{Code: e.GetCode(), Message: e.GetMessage()}
	}
	require.Equal(p.t, typ, h.Type)
	if answer != nil {
		require.NoError(p.t, proto.Unmarshal(b, answer))
	}
	return nil
}

// session opens session 1 with plan 1, weights uploaded.
func (p *peer) session() {
	p.t.Helper()
	require.NoError(p.t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	p.plan()
}

// plan prepares plan 1 of session 1, weights uploaded.
func (p *peer) plan() {
	p.t.Helper()
	pl, weights := counter()
	encoded, err := pl.Encode()
	require.NoError(p.t, err)
	h := pl.Hash()
	var ready wirepb.Prepared
	require.NoError(p.t, p.ask(wire.TypePrepare, &wirepb.Prepare{
		Session: 1, Plan: 1, Hash: h[:], PlanBytes: uint64(len(encoded)),
	}, encoded, &ready))
	for _, id := range ready.GetMissing() {
		w := weights[pl.Values[id].Hash]
		require.NoError(p.t, p.ask(wire.TypePutWeight, &wirepb.PutWeight{
			Session: 1, Plan: 1, Value: id, Bytes: uint64(len(w.Data)),
		}, w.Data, nil))
	}
}

// works runs session 1's plan.
func (p *peer) works() {
	p.t.Helper()
	require.NoError(p.t, p.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1}, floats(1, 1), nil))
}

// ended expects the worker to say why and to close the connection.
func (p *peer) ended(want error) {
	p.t.Helper()
	err := p.answer(0, 0, nil)
	require.ErrorIs(p.t, err, want)
	_, _, err = p.wc.Next()
	require.Error(p.t, err)
}
