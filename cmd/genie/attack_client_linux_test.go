package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// attacker is a connection of a client that respects only the framing.
type attacker struct {
	t    testing.TB
	nc   net.Conn
	wc   *wire.Conn
	last uint64
}

// hello is the Hello of a client that promises heartbeats.
var hello = &wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{
	Version: wire.Version, MaxFramePayload: wire.MaxFramePayload, MaxMessagePayload: wire.MaxMessagePayload, HeartbeatMs: 1000,
}}

// attack connects, and pings until the test ends or the worker has had enough.
func attack(t testing.TB, url string) *attacker {
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		return nil
	}
	a := &attacker{t: t, nc: nc, wc: wire.NewConn(wire.NewTCP(nc, nil), nil)}
	if !a.send(hello) {
		return nil
	}
	if h, _, err := a.wc.Next(); err != nil || h.Type != wire.TypeHello {
		_ = nc.Close()
		return nil
	}
	go func() {
		beat := time.NewTicker(time.Second)
		defer beat.Stop()
		for range beat.C {
			if !a.send(&wire.Message{Type: wire.TypePing}) {
				return
			}
		}
	}()
	return a
}

func (a *attacker) close() { _ = a.nc.Close() }

func (a *attacker) send(m *wire.Message) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // after which the connection is given up
	defer cancel()
	_, err := a.wc.Send(ctx, m)
	return err == nil
}

// begin sends a request of which more is to come, if open.
func (a *attacker) begin(typ wire.Type, m proto.Message, payload []byte, open bool) bool {
	a.last++
	msg := &wire.Message{Type: typ, Stream: a.last, Control: m, Open: open}
	if len(payload) > 0 {
		msg.Payload = []wire.Segment{{Data: payload}}
	}
	return a.send(msg)
}

// ask sends a request and reads its answer; the code is 0 for success.
func (a *attacker) ask(typ wire.Type, m proto.Message, payload []byte) (code uint32, ok bool) {
	if !a.begin(typ, m, payload, false) {
		return 0, false
	}
	_ = a.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		h, control, err := a.wc.Next()
		if err != nil {
			return 0, false
		}
		first := h.Type != wire.TypeData && h.Stream == a.last
		if first && h.Type == wire.TypeError {
			var e wirepb.Error
			_ = proto.Unmarshal(control, &e)
			code = e.GetCode()
		}
		if _, err := a.wc.ReadPayload(h, nil, plan.CauseControl); err != nil {
			return 0, false
		}
		if h.Stream == a.last && !h.More() {
			return code, true
		}
	}
}

// open opens a session and prepares a plan in it.
func (a *attacker) open(num uint32, p *plan.Plan) bool {
	if code, ok := a.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: num}, nil); !ok || code != 0 {
		return a.refused(code) && false
	}
	encoded, err := p.Encode()
	if err != nil {
		a.t.Error(err)
		return false
	}
	h := plan.HashEncoded(encoded)
	code, ok := a.ask(wire.TypePrepare, &wirepb.Prepare{Session: num, Plan: 1, Hash: h[:], PlanBytes: uint64(len(encoded))}, encoded)
	return ok && a.refused(code) && code == 0
}

// refused verifies that a refusal has one of the causes that say what is
// exhausted.
func (a *attacker) refused(code uint32) bool {
	if code == 0 {
		return true
	}
	for _, cause := range []error{transport.ErrMemory, transport.ErrQuota, transport.ErrLimit, transport.ErrOverloaded} {
		if code == transport.Code(cause) {
			return true
		}
	}
	a.t.Errorf("refused with code %d", code)
	return false
}

// builder makes plans of what the attacks need.
type builder struct{ p *plan.Plan }

func build(name string) *builder { return &builder{&plan.Plan{Version: plan.Version, Name: name}} }

func (b *builder) value(v plan.Value) int {
	b.p.Values = append(b.p.Values, v)
	return len(b.p.Values) - 1
}

func floatsOf(n int) plan.Spec { return plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(n)}} }

func (b *builder) input(n int) int {
	v := b.value(plan.Value{Kind: plan.KindInput, Name: "x", Spec: floatsOf(n), Buffer: plan.NoBuffer})
	b.p.Inputs = append(b.p.Inputs, plan.Port{Name: "x", Value: v})
	return v
}

func (b *builder) constant(n int) int {
	return b.value(plan.Value{Kind: plan.KindConst, Spec: floatsOf(n), Buffer: plan.NoBuffer, Const: make([]byte, 4*n)})
}

// weight has content that only this plan has: a client that misses what another
// one sends would wait for it.
func (b *builder) weight(n int) int {
	return b.value(plan.Value{Kind: plan.KindWeight, Name: "w", Spec: floatsOf(n), Buffer: plan.NoBuffer, Hash: plan.HashEncoded([]byte(b.p.Name)), Storage: plan.F32})
}

func (b *builder) step(name string, attrs plan.Attrs, spec plan.Spec, in ...int) int {
	v := b.value(plan.Value{Kind: plan.KindTemp, Spec: spec, Buffer: b.p.Buffers})
	b.p.Buffers++
	b.p.Steps = append(b.p.Steps, plan.Step{Op: name, Attrs: attrs, In: in, Out: v})
	return v
}

func (b *builder) sum(v int) int {
	return b.step("reduce", op.Reduce{Kind: "sum", Axes: []int{0}}.Attrs(), plan.Spec{DType: plan.F32}, v)
}

func (b *builder) gives(v int, place plan.Place) *plan.Plan {
	b.p.Outputs = append(b.p.Outputs, plan.Output{Name: "y", Value: v, Place: place, Cause: plan.CauseActivation})
	return b.p
}

// helloFrame is what a client begins with.
func helloFrame() ([]byte, error) {
	from, to := net.Pipe()
	go func() {
		defer func() { _ = from.Close() }()
		_, _ = wire.NewConn(wire.NewTCP(from, nil), nil).Send(context.Background(), hello)
	}()
	return io.ReadAll(to)
}

// halfMessage is an HTTP/2 connection with a stream of the service that has said
// hello, and a message
// on it that has so many bytes and never ends.
func halfMessage(addr string, n int) (net.Conn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	frame := func(typ, flags byte, stream uint32, body []byte) []byte {
		b := []byte{byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), typ, flags}
		return append(binary.BigEndian.AppendUint32(b, stream), body...)
	}
	var headers []byte
	for _, h := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", "/genie.v1.Genie/Connect"},
		{":authority", "x"},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
	} {
		headers = append(headers, 0, byte(len(h[0]))) // a literal without index, not compressed
		headers = append(append(append(headers, h[0]...), byte(len(h[1]))), h[1]...)
	}
	out := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	out = append(out, frame(4, 0, 0, nil)...)
	out = append(out, frame(1, 4, 1, headers)...)
	if _, err := nc.Write(out); err != nil {
		return nc, err
	}
	hello, err := helloFrame()
	if err != nil {
		return nc, err
	}
	body := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(hello)))
	body = append(body, hello...)
	body = binary.BigEndian.AppendUint32(append(body, 0), uint32(n+1))
	body = append(body, make([]byte, n)...)
	_ = nc.SetDeadline(time.Now().Add(time.Second))
	for conn, stream := 65535, 65535; len(body) > 0; {
		for conn > 0 && stream > 0 && len(body) > 0 {
			k := min(len(body), conn, stream, 16<<10)
			if _, err := nc.Write(frame(0, 0, 1, body[:k])); err != nil {
				return nc, err
			}
			conn, stream, body = conn-k, stream-k, body[k:]
		}
		more, of, err := windowUpdate(nc)
		switch {
		case err != nil:
			return nc, err
		case of == 0:
			conn += more
		default:
			stream += more
		}
	}
	return nc, nil
}

// windowUpdate reads one frame, and reports how much more may be sent on the
// connection, stream 0, or on a stream; 0 when the frame is about something
// else.
func windowUpdate(r io.Reader) (more int, stream uint32, err error) {
	const initialWindow = 4 // of SETTINGS
	var head [9]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, err
	}
	body := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, 0, err
	}
	switch head[3] {
	case 8:
		return int(binary.BigEndian.Uint32(body)), binary.BigEndian.Uint32(head[5:]), nil
	case 4:
		for ; len(body) >= 6; body = body[6:] {
			if binary.BigEndian.Uint16(body) == initialWindow {
				return int(binary.BigEndian.Uint32(body[2:])) - 65535, 1, nil
			}
		}
	}
	return 0, 0, nil
}
