package worker_test

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

func TestHTTPToTheTCPPort(t *testing.T) {
	w := workertest.Start(t, nil)
	watch := newBystander(t, w)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Get("http://" + w.TCP + "/v1/models")
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
	require.Contains(t, string(body), "genie wire protocol")
	watch.check()
}

func TestWrongDoors(t *testing.T) {
	w := workertest.Start(t, nil)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	site := strings.TrimPrefix(web.URL, "http://")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := closed.Addr().String()
	require.NoError(t, closed.Close())
	for _, tt := range []struct {
		name, how, addr string
		want            error
	}{
		{"tcp to the gRPC port", "tcp", w.GRPC, transport.ErrProtocol},
		{"tcp to a silent server", "tcp", site, transport.ErrUnreachable},
		{"tcp to nobody", "tcp", nobody, transport.ErrUnreachable},
		{"gRPC to the TCP port", "grpc", w.TCP, transport.ErrProtocol},
		{"gRPC to a web server", "grpc", site, transport.ErrProtocol},
		{"gRPC to nobody", "grpc", nobody, transport.ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := dialers[tt.how](ctx, &workertest.Worker{TCP: tt.addr, GRPC: tt.addr}, nil)
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.addr)
		})
	}
	newBystander(t, w).check()
}

// rewrite changes a byte of the header of a connection's frame number and mends
// its checksum.
func rewrite(number uint32, frame []byte, at int, to byte) []byte {
	frame[at] = to
	control := binary.LittleEndian.Uint64(frame[16:])
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := crc32.Update(crc32.Update(number, table, frame[:36]), table, frame[40:40+control])
	binary.LittleEndian.PutUint32(frame[36:], crc)
	return frame
}

// frameOf is the bytes of a message that is a connection's frame number.
func frameOf(t *testing.T, number int, m *wire.Message) []byte {
	a, b := net.Pipe()
	got := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(b)
		got <- all
	}()
	wc := wire.NewConn(wire.NewTCP(a, nil), nil)
	for range number {
		_, err := wc.Send(t.Context(), &wire.Message{Type: wire.TypePing})
		require.NoError(t, err)
	}
	_, err := wc.Send(t.Context(), m)
	require.NoError(t, err)
	require.NoError(t, wc.Close())
	return (<-got)[number*wire.HeaderLen:]
}

func TestWrongVersion(t *testing.T) {
	w := workertest.Start(t, nil)
	hello := &wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version}}
	t.Run("in the header", func(t *testing.T) {
		p := newPeer(t, w)
		_, err := p.conn.Write(rewrite(0, frameOf(t, 0, hello), 4, wire.Version+1))
		require.NoError(t, err)
		p.ended(transport.ErrVersion)
	})
	t.Run("in the message", func(t *testing.T) {
		p := newPeer(t, w)
		p.send(&wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: 7}})
		p.ended(transport.ErrVersion)
	})
	t.Run("of the worker", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		frame := rewrite(0, frameOf(t, 0, hello), 4, 9)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write(frame)
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}()
		_, err = tcp.Dial(t.Context(), l.Addr().String())
		require.ErrorIs(t, err, transport.ErrVersion)
		require.ErrorContains(t, err, l.Addr().String())
		<-done
	})
	newBystander(t, w).check()
}

// TestLostFraming sends what cannot be followed: that connection ends, with a
// reason where there can be one.
func TestLostFraming(t *testing.T) {
	w := workertest.Start(t, nil)
	watch := newBystander(t, w)
	stats := func() []byte { return frameOf(t, 1, &wire.Message{Type: wire.TypeStats, Stream: 1}) }
	for name, tt := range map[string]struct {
		frame []byte
		want  error
	}{
		"control of a terabyte": {rewriteLength(stats(), 16, 1<<40), transport.ErrLimit},
		"payload of an exabyte": {rewriteLength(stats(), 24, 1<<60), transport.ErrLimit},
		"one above the limit":   {rewriteLength(stats(), 24, wire.MaxFramePayload+1), transport.ErrLimit},
		"header checksum":       {flip(stats(), 37), transport.ErrCorrupt},
		"flipped control":       {flip(frameOf(t, 1, &wire.Message{Type: wire.TypeReset, Stream: 1, Control: &wirepb.Reset{Session: 1}}), 41), transport.ErrCorrupt},
		"unknown flags":         {rewrite(1, stats(), 7, 0x80), transport.ErrProtocol},
		"an answer":             {rewrite(1, stats(), 6, byte(wire.FlagAnswer)), transport.ErrProtocol},
		"a frame left out":      {frameOf(t, 2, &wire.Message{Type: wire.TypeStats, Stream: 1}), transport.ErrCorrupt},
		"a frame twice":         {frameOf(t, 0, &wire.Message{Type: wire.TypeStats, Stream: 1}), transport.ErrCorrupt},
		"stream zero":           {rewrite(1, stats(), 8, 0), transport.ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			p := greeted(t, w)
			_, err := p.conn.Write(tt.frame)
			require.NoError(t, err)
			p.ended(tt.want)
			watch.check()
		})
	}
	t.Run("garbage", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			p := newPeer(t, w)
			if r.IntN(2) == 0 {
				p = greeted(t, w)
			}
			b := make([]byte, r.IntN(300)+4)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			_, err := p.conn.Write(b)
			require.NoError(t, err)
			_, _, err = p.wc.Next()
			require.Error(t, err)
		}
		watch.check()
	})
	t.Run("no hello", func(t *testing.T) {
		p := newPeer(t, w)
		p.send(&wire.Message{Type: wire.TypeStats, Stream: 1})
		p.ended(transport.ErrProtocol)
	})
}

func flip(b []byte, at int) []byte {
	b[at] ^= 0x10
	return b
}

func rewriteLength(frame []byte, at int, n uint64) []byte {
	binary.LittleEndian.PutUint64(frame[at:], n)
	return frame
}

// TestBadRequests sends requests that are wrong and complete: each is an error
// of its stream, and the connection stays usable.
func TestBadRequests(t *testing.T) {
	w := workertest.Start(t, nil)
	watch := newBystander(t, w)
	p := greeted(t, w)
	p.session()
	hash := make([]byte, 32)
	run := func(m *wirepb.Run, payload []byte) func() error {
		return func() error { return p.ask(wire.TypeRun, m, payload, nil) }
	}
	for name, tt := range map[string]struct {
		ask  func() error
		want error
	}{
		"unknown type":           {func() error { return p.ask(wire.Type(77), nil, nil, nil) }, transport.ErrProtocol},
		"second hello":           {func() error { return p.ask(wire.TypeHello, nil, nil, nil) }, transport.ErrProtocol},
		"payload where none is":  {func() error { return p.ask(wire.TypeReset, &wirepb.Reset{Session: 1}, []byte{1}, nil) }, transport.ErrProtocol},
		"session twice":          {func() error { return p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil) }, transport.ErrProtocol},
		"unknown session":        {run(&wirepb.Run{Session: 9, Plan: 1}, nil), transport.ErrClosed},
		"unknown plan":           {run(&wirepb.Run{Session: 1, Plan: 9}, nil), transport.ErrUnknownPlan},
		"payload too short":      {run(&wirepb.Run{Session: 1, Plan: 1}, make([]byte, 7)), transport.ErrProtocol},
		"payload too long":       {run(&wirepb.Run{Session: 1, Plan: 1}, make([]byte, 9)), transport.ErrProtocol},
		"payload in many frames": {run(&wirepb.Run{Session: 1, Plan: 1, Bytes: 2 << 20}, make([]byte, 2<<20)), transport.ErrProtocol},
		"lying length":           {run(&wirepb.Run{Session: 1, Plan: 1, Bytes: 1 << 50}, make([]byte, 8)), transport.ErrProtocol},
		"bindings":               {run(&wirepb.Run{Session: 1, Plan: 1, Bindings: []uint64{1 << 60}}, nil), transport.ErrShape},
		"bindings too many":      {run(&wirepb.Run{Session: 1, Plan: 1, Bindings: []uint64{1}}, nil), transport.ErrShape},
		"handle for no input":    {run(&wirepb.Run{Session: 1, Plan: 1, Handles: []*wirepb.InputHandle{{Input: 5}}}, nil), transport.ErrUnknownInput},
		"zero handle":            {run(&wirepb.Run{Session: 1, Plan: 1, Handles: []*wirepb.InputHandle{{Input: 0}}}, nil), transport.ErrProtocol},
		"stale handle":           {run(&wirepb.Run{Session: 1, Plan: 1, Handles: []*wirepb.InputHandle{{Handle: &wirepb.Handle{Id: 99}}}}, nil), transport.ErrStaleHandle},
		"read a stale handle": {func() error {
			return p.ask(wire.TypeRead, &wirepb.Read{Session: 1, Handle: &wirepb.Handle{Id: 3}}, nil, nil)
		}, transport.ErrStaleHandle},
		"short hash": {func() error {
			return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 2, Hash: hash[:9]}, nil, nil)
		}, transport.ErrProtocol},
		"plan of another hash": {func() error {
			return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 2, Hash: hash, PlanBytes: 4}, []byte("plan"), nil)
		}, transport.ErrCorrupt},
		"plan above the limit": {func() error {
			return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 2, Hash: hash, PlanBytes: 1 << 40}, nil, nil)
		}, transport.ErrLimit},
		"model outside": {func() error {
			return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 2, Hash: hash, Model: "../etc"}, nil, nil)
		}, transport.ErrProtocol},
		"weight that is none": {func() error {
			return p.ask(wire.TypePutWeight, &wirepb.PutWeight{Session: 1, Plan: 1, Value: 0, Bytes: 8}, make([]byte, 8), nil)
		}, transport.ErrMissingWeight},
		"weight of another value": {func() error {
			return p.ask(wire.TypePutWeight, &wirepb.PutWeight{Session: 1, Plan: 1, Value: 1, Bytes: 8}, make([]byte, 8), nil)
		}, transport.ErrCorrupt},
		"weight too long": {func() error {
			return p.ask(wire.TypePutWeight, &wirepb.PutWeight{Session: 1, Plan: 1, Value: 1, Bytes: 9}, make([]byte, 9), nil)
		}, transport.ErrProtocol},
		"loop without a run": {func() error { return p.ask(wire.TypeLoop, &wirepb.Loop{Credit: 1}, nil, nil) }, transport.ErrProtocol},
		"loop without credit": {func() error {
			return p.ask(wire.TypeLoop, &wirepb.Loop{Run: &wirepb.Run{Session: 1, Plan: 1}}, make([]byte, 8), nil)
		}, transport.ErrProtocol},
		"loop over other inputs": {func() error {
			return p.ask(wire.TypeLoop, &wirepb.Loop{Run: &wirepb.Run{Session: 1, Plan: 1}, Credit: 1, Limits: []uint32{1}}, make([]byte, 8), nil)
		}, transport.ErrUnknownInput},
		"loop that grows too fast": {func() error {
			return p.ask(wire.TypeLoop, &wirepb.Loop{Run: &wirepb.Run{Session: 1, Plan: 1}, Credit: 1, Grow: []uint64{1 << 60}}, make([]byte, 8), nil)
		}, transport.ErrShape},
		"close no session": {func() error { return p.ask(wire.TypeCloseSession, &wirepb.CloseSession{Session: 4}, nil, nil) }, transport.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.ask()
			require.ErrorIs(t, err, tt.want)
			require.NotContains(t, err.Error(), "127.0.0.1")
			p.works()
			watch.check()
		})
	}
	p.strayFrames()
	watch.check()
}

// strayFrames sends frames that belong to nothing.
func (p *peer) strayFrames() {
	p.t.Helper()
	p.send(&wire.Message{Type: wire.TypeCancel, Stream: 500})                                         // no answer
	p.send(&wire.Message{Type: wire.TypeCredit, Stream: 500, Control: &wirepb.Credit{Runs: 1 << 30}}) // no answer
	p.send(&wire.Message{Type: wire.TypeData, Stream: 501, Payload: []wire.Segment{{Data: make([]byte, 10)}}})
	require.ErrorIs(p.t, p.answer(501, 0, nil), transport.ErrProtocol)
	p.send(&wire.Message{Type: wire.TypeRelease, Stream: 502, Control: &wirepb.Release{Session: 44}}) // no answer
	p.works()

	// A payload with a wrong checksum spoils only its request.
	p.conn.(*spoiler).next = true
	p.send(&wire.Message{
		Type: wire.TypeRun, Stream: 503, Control: &wirepb.Run{Session: 1, Plan: 1}, Payload: []wire.Segment{{Data: floats(1, 2)}},
	})
	require.ErrorIs(p.t, p.answer(503, 0, nil), transport.ErrCorrupt)
	p.works()
}
