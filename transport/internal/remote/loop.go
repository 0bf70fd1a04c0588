package remote

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// loopRun is the content of a frame of a loop.
type loopRun struct {
	tokens  []byte
	elapsed time.Duration
}

// runs takes the frames of a loop. The receiving goroutine adds to it and never
// blocks: a client accepts no more runs than the credit that it gave.
type runs struct {
	size  int // bytes of the tokens of a run
	cause plan.Cause
	left  int // runs that may still arrive; the receiving goroutine owns it

	mu   sync.Mutex
	list []loopRun
	some bool          // a run has arrived
	more chan struct{} // holds a token when there is something in list
}

// sink is memory for the payload of the next frame: one run, or several.
func (l *runs) sink(n uint64) ([]byte, error) {
	each := uint64(l.size + 4)
	if n == 0 || n%each != 0 || n/each > uint64(min(l.left, wire.LoopCredit)) {
		return nil, fmt.Errorf("%w: a frame of %d bytes in a loop with runs of %d, %d of which may come", transport.ErrProtocol, n, each, l.left)
	}
	return make([]byte, n), nil
}

func (l *runs) add(b []byte) {
	l.append(b)
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *runs) append(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.some = true
	for ; len(b) > 0; b = b[l.size+4:] {
		micros := binary.LittleEndian.Uint32(b[l.size:])
		l.list = append(l.list, loopRun{b[:l.size:l.size], time.Duration(micros) * time.Microsecond})
		l.left--
	}
}

// began reports whether a run has arrived.
func (l *runs) began() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.some
}

func (l *runs) take() []loopRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.list
	l.list = nil
	return out
}

// RunLoop implements [transport.Looper].
func (s *session) RunLoop(ctx context.Context, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	if _, err := s.planOf(call.Plan); err != nil {
		return err
	}
	return s.loop(ctx, nil, call, loop, each)
}

// OpenLoop implements [transport.LoopOpener].
func (s *session) OpenLoop(ctx context.Context, open transport.Opening, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	find := s.planOf
	if open.Reset {
		find = s.planAnyway
	}
	ref, err := find(open.Call.Plan)
	if err != nil {
		return err
	}
	if err := open.Check(ref.layout.Plan); err != nil {
		return err
	}
	return s.loop(ctx, &open, call, loop, each)
}

// loop makes a loop, with its opening if there is one.
func (s *session) loop(ctx context.Context, open *transport.Opening, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	m, err := s.runMessage(call)
	if err != nil {
		return err
	}
	ref, run, payload := m.ref, m.control, m.payload
	p := ref.layout.Plan
	if err := loop.Check(p, call.Bindings); err != nil {
		return err
	}
	control := loopMessage(run, loop)
	got := &runs{size: 4 * len(loop.Limits), cause: p.Outputs[loop.Token].Cause, left: slices.Max(loop.Limits), more: make(chan struct{}, 1)}
	var opening *planRef
	if open != nil {
		first, err := s.runMessage(open.Call)
		if err != nil {
			return err
		}
		opening = first.ref
		control.Opening = &wirepb.Opening{Fresh: open.Reset, Run: first.control, Token: uint32(open.Token)}
		payload = append(first.payload, payload...)
		first.control.Bytes, run.Bytes = 0, claim(payload)
		got.left++
	}
	r := &request{
		typ: wire.TypeLoop, order: s.order, control: control, payload: payload,
		cause: got.cause, loop: got, number: func(seq uint64) { run.Seq = seq },
	}
	err = s.follow(ctx, r, got, each)
	switch {
	case err == nil:
		if open != nil && open.Reset {
			s.wasReset()
		}
	case !errors.Is(err, transport.ErrOverloaded):
		ref.said.forget()
		if opening != nil {
			opening.said.forget()
		}
		s.noteLate(nil) // some runs may have been done
	}
	return err
}

// loopMessage is the control message of a loop.
func loopMessage(run *wirepb.Run, loop transport.Loop) *wirepb.Loop {
	m := &wirepb.Loop{Run: run, Token: uint32(loop.Token), Stop: loop.Stop, Credit: wire.LoopCredit}
	for _, in := range loop.Inputs {
		m.Inputs = append(m.Inputs, &wirepb.LoopInput{Kind: uint32(in.Kind), Max: in.Max})
	}
	for _, n := range loop.Grow {
		m.Grow = append(m.Grow, uint64(n))
	}
	for _, n := range loop.Limits {
		m.Limits = append(m.Limits, uint32(n))
	}
	return m
}

// follow makes the call and passes its runs on as they arrive.
func (s *session) follow(ctx context.Context, r *request, got *runs, each func([]byte, time.Duration) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- s.call(ctx, r) }()
	used := 0
	hand := func() error {
		for _, run := range got.take() {
			if err := each(run.tokens, run.elapsed); err != nil {
				return err
			}
			if used++; used == wire.LoopCredit/2 {
				r.on.Load().sendCredit(ctx, r.stream.Load(), used)
				used = 0
			}
		}
		return nil
	}
	for {
		select {
		case <-got.more:
			if err := hand(); err != nil {
				cancel(err)
				<-done //nolint:errcheck // the end that was just caused
				return err
			}
		case err := <-done:
			if err != nil {
				return err
			}
			return hand()
		}
	}
}

// sendCredit lets the worker continue. If the connection fails, the call learns
// of it.
func (c *Client) sendCredit(ctx context.Context, stream uint64, n int) {
	_, _ = c.conn.Send(ctx, &wire.Message{Type: wire.TypeCredit, Stream: stream, Control: &wirepb.Credit{Runs: uint32(n)}})
}
