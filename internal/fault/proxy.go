// Package fault is a TCP proxy that imitates the faults of networks: it drops,
// damages, delays, swaps and cuts the passing bytes, by a plan from the test
// and with a seed, so that a run can be repeated.
//
//	p, err := fault.Start(workerAddress, fault.Options{Frames: true, Decide: fault.Drop(7, .25, .5)})
//	defer p.Close()
//	client, err := genie.Open(ctx, "tcp://"+p.Addr())
package fault

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport/wire"
)

// Action is what happens to a piece of a connection.
type Action uint8

// The actions.
const (
	Pass     Action = iota
	Lose            // it is lost, but what follows arrives
	Cut             // both directions end before it
	Truncate        // half of it arrives, then both directions end
	Flip            // one bit is inverted
	Swap            // it arrives after the next piece
	Stall           // neither it nor what follows arrives; the connection stays open
)

// Piece is the unit of a connection: a frame of the protocol, or some bytes.
type Piece struct {
	Conn     int       // number of the connection, from 0
	ToWorker bool      // direction
	Number   int       // of the piece, in its connection and direction, from 0
	Type     wire.Type // of a frame; 0 for bytes
	Len      int       // in bytes
}

// Verdict is an action and the delay before it. Bit says which bit of the piece
// to flip, modulo its length.
type Verdict struct {
	Action Action
	Delay  time.Duration
	Bit    int
}

// Options configure a proxy.
type Options struct {
	// Frames makes the frames of the protocol the pieces; otherwise a piece is
	// the result of one read.
	Frames bool
	// Decide is called for each piece, by one goroutine per direction; nil
	// passes all.
	Decide func(p Piece) Verdict
	// Accept is called with the number of a connection before it is passed on
	// to the worker, in its own goroutine: it may hold back a connection until
	// another is through.
	Accept func(conn int)
}

// Proxy is a running proxy.
type Proxy struct {
	opts   Options
	target atomic.Pointer[string]
	faults atomic.Int64
	l      net.Listener
	ctx    context.Context //nolint:containedctx // the life of the proxy itself
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// Start starts a proxy to target on a free port of the loopback interface.
func Start(target string, opts Options) (*Proxy, error) {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{opts: opts, l: l, conns: map[net.Conn]struct{}{}}
	p.target.Store(&target)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.l.Addr().String() }

// Faults is the number of pieces that did not simply pass.
func (p *Proxy) Faults() int { return int(p.faults.Load()) }

// Retarget sends future connections to another worker.
func (p *Proxy) Retarget(target string) { p.target.Store(&target) }

// CutAll ends all connections that are open.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Close ends the proxy and waits until all its resources are free.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.l.Close()
	p.CutAll()
	p.wg.Wait()
	return err
}

func (p *Proxy) accept() {
	for n := 0; ; n++ {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(n, c) })
	}
}

// track registers a connection. It closes it at once if the proxy is closed.
func (p *Proxy) track(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	if p.ctx.Err() != nil {
		_ = c.Close()
	}
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

func (p *Proxy) serve(n int, client net.Conn) {
	p.track(client)
	defer p.drop(client)
	if p.opts.Accept != nil {
		p.opts.Accept(n)
	}
	var d net.Dialer
	worker, err := d.DialContext(p.ctx, "tcp", *p.target.Load())
	if err != nil {
		return
	}
	p.track(worker)
	defer p.drop(worker)
	var wg sync.WaitGroup
	end := func() {
		_ = client.Close()
		_ = worker.Close()
	}
	for _, toWorker := range []bool{true, false} {
		from, to := worker, client
		if toWorker {
			from, to = client, worker
		}
		wg.Go(func() {
			defer end()
			p.pump(n, toWorker, from, to)
		})
	}
	wg.Wait()
}

// pump moves pieces in one direction until it ends.
func (p *Proxy) pump(n int, toWorker bool, from, to net.Conn) {
	var held []byte
	for number := 0; ; number++ {
		typ, b, err := p.piece(from)
		if err != nil {
			return
		}
		v := Verdict{}
		if p.opts.Decide != nil {
			v = p.opts.Decide(Piece{Conn: n, ToWorker: toWorker, Number: number, Type: typ, Len: len(b)})
		}
		if v != (Verdict{}) {
			p.faults.Add(1)
		}
		if v.Delay > 0 && !p.wait(v.Delay) {
			return
		}
		switch v.Action {
		case Pass:
		case Lose:
			continue
		case Cut:
			return
		case Truncate:
			_, _ = to.Write(b[:len(b)/2])
			return
		case Flip:
			b[v.Bit/8%len(b)] ^= 1 << (v.Bit % 8)
		case Swap:
			if held == nil {
				held = b
				continue
			}
		case Stall:
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if _, err := to.Write(slices.Concat(b, held)); err != nil {
			return
		}
		held = nil
	}
}

func (p *Proxy) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// piece reads a frame, or the available bytes.
func (p *Proxy) piece(from net.Conn) (wire.Type, []byte, error) {
	if !p.opts.Frames {
		b := make([]byte, 16<<10)
		n, err := from.Read(b)
		return 0, b[:n], err
	}
	b := make([]byte, wire.HeaderLen)
	if _, err := io.ReadFull(from, b); err != nil {
		return 0, nil, err
	}
	control, payload := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
	if control > wire.MaxControl || payload > wire.MaxFramePayload {
		return 0, nil, io.ErrUnexpectedEOF
	}
	frame := make([]byte, wire.HeaderLen+control+payload)
	copy(frame, b)
	_, err := io.ReadFull(from, frame[wire.HeaderLen:])
	return wire.Type(b[5]), frame, err
}
